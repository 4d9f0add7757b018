"""Everything that changes an order: pure functions of rows and snapshots, inside a transaction."""
