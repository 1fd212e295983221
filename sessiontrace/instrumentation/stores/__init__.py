"""Vector stores and databases that search by vectors, one module for each with its ``ENTRY``."""
