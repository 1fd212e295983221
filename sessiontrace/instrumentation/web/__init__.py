"""ASGI applications, and one module per server; the registry reads the ``ENTRY`` of each."""
