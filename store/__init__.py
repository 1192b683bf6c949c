"""Tables, queries and migrations over SQLite or PostgreSQL. Not here: decisions; callers own the transaction."""
