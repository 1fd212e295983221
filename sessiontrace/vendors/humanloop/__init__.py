"""Humanloop, version 4 and 5 of its API. The hosted service closed in September 2025."""
