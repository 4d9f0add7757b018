"""The socket API: HTTP and JSON, the event feed, the dashboard."""
