"""Counts over many sessions: the charts above the list, and the dashboard."""
