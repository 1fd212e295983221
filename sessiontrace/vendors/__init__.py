"""The destinations, one package each: a pure exporter, and what carries its requests."""
