"""What OpenTelemetry's SDK passes to its processors and exporters, as spans that ``wire`` reads."""
