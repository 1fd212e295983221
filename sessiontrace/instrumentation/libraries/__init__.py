"""One module per library; the registry reads the ``ENTRY`` of each from its text."""
