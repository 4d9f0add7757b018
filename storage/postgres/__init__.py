"""The engine on a PostgreSQL server: the same queries and the same group commit, on a connection that may break."""
