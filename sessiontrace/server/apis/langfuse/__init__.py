"""Langfuse's API over the store, beside its OTLP paths."""
