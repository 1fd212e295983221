"""The store in ClickHouse, for what one machine and one SQLite file cannot hold."""
