"""The signals of OTLP beside traces: log records and metrics, in both encodings."""
