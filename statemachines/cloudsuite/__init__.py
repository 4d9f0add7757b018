"""CloudSuite's order machine."""
