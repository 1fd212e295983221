"""Counts over many sessions by SQLite: the charts above the list, and the dashboard."""
