"""The embedded store: where sessions are kept without an account, for all who write and read."""
