"""The socket API: HTTP and JSON on a Unix socket, and the same on loopback TCP (docs/api.md)."""
