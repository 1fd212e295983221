"""Iterators of chunks recorded while the caller reads them."""
