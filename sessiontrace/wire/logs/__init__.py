"""OpenTelemetry's log records, in and out."""
