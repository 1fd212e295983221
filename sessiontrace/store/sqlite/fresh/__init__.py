"""The rows of events of which nothing is stored yet."""
