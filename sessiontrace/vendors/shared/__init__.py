"""Helpers that the exporters of several vendors share."""
