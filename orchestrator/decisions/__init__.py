"""Everything that changes an order: pure functions of rows and what was seen, inside a transaction."""
