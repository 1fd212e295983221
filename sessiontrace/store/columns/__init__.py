"""What a store's tables have of an event beside its record."""
