"""What is kept: orders, targets, events, shops. Knows records; knows no platform and no HTTP."""
