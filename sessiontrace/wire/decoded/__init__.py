"""Readers of protobuf's wire format for OTLP, each with a compiled form."""
