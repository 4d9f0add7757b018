"""What people and the ERP may ask of the daemon, whatever the way they ask: API, CLI, tests."""
