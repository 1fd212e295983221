"""OTLP/HTTP over the store."""
