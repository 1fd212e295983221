"""OTLP/HTTP: any collector or tracing backend that speaks OpenTelemetry."""
