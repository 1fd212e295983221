"""What instrumentors are built from: calls, patched methods and observed streams."""
