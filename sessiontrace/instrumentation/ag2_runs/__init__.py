"""AG2's events as messages of a conversation."""
