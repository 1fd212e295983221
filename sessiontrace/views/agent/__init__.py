"""Stored sessions as texts for coding agents: within a budget, recorded content marked as data."""
