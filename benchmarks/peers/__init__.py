"""The same work by other tracing SDKs: one adapter a module, each run in an environment of its own.

An adapter says ``PACKAGES`` (what pip installs), ``IMPORT`` (what a user's program imports),
``SETTINGS`` (how it was configured, for the reader) and has

    start(url, enabled)    configure it for the sink, or switched off, as its documents say
    decorate(function)     the function traced, with its argument and result captured
    session()              a block around 100 calls: a trace, a root span, whatever it has
    flush()                return when all was acknowledged, or given up
    ROOTS                  events that one session adds at the sink beside those of the calls

Each keeps its own recommended batches; only its queue is widened, so that it need not drop.
"""

from __future__ import annotations

NAMES = (
    "opentelemetry",
    "posthog",
    "logfire",
    "langfuse",
    "langsmith",
    "traceloop",
    "opik",
    "ddtrace",
    "mlflow",
    "honeyhive",
)
"""The peers, in the order of the tables."""

OURS = ("sessiontrace", "sessiontrace_otlp")
"""Ours, measured like them: with HoneyHive's protocol, and with OTLP."""
