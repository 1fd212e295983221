"""What instrumentors are built from: calls, patched methods, observed streams."""
