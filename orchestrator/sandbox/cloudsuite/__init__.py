"""CloudSuite as the sandbox simulates it."""
