"""Formats that both sides speak: OpenTelemetry spans in and out, protobuf, attribute names."""
