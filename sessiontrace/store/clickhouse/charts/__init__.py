"""Counts over many sessions by ClickHouse: the charts above the list, and the dashboard."""
