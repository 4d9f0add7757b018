"""The engine on SQLite, by aiosqlite."""
