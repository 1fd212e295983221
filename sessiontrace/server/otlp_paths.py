"""The paths under which the server takes OTLP: its own, and those of backends it replaces.

Values, no thread owns them. An exporter appends ``/v1/traces`` to the base URL that it is
configured with. Source of the bases: each backend's documentation of its OTLP endpoint.
"""

from __future__ import annotations

__all__ = ["LOGS", "METRICS", "OTLP_PATHS", "TRACES"]

_BASES = (
    "",
    "/opentelemetry",  # HoneyHive
    "/otel",  # LangSmith, Braintrust
    "/otlp",  # Amplitude
    "/api/public/otel",  # Langfuse
    "/api/v1/private/otel",  # Opik
    "/api/v2/otlp",  # Dynatrace
    "/i/v0/ai/otel",  # PostHog
)

TRACES = (*(f"{base}/v1/traces" for base in _BASES), "/i/v0/ai/otel")
LOGS = tuple(f"{base}/v1/logs" for base in _BASES)
METRICS = tuple(f"{base}/v1/metrics" for base in _BASES)
OTLP_PATHS = frozenset({*TRACES, *LOGS, *METRICS})
