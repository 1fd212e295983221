"""The figures of the dashboard: what a store counts, and what a session keeps for it."""
