"""Web servers and ASGI applications."""
