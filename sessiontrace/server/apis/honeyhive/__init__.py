"""HoneyHive's API over the store."""
