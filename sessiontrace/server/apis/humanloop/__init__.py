"""Humanloop's API over the store."""
