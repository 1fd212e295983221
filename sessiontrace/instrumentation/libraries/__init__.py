"""One instrumentor per library."""
