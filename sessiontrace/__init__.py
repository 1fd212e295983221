"""Session tracing for LLM applications.

The public names live here and only here; each is documented where it is defined. Importing this
starts no thread, opens no file and reads no environment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sessiontrace.api import (
    aflush,
    asgi,
    ashutdown,
    chain,
    current_session,
    current_span,
    extract,
    flush,
    init,
    inject,
    instrument,
    model,
    score,
    session,
    shutdown,
    span,
    start_span,
    stats,
    stream,
    suppress,
    tool,
    trace,
    uninstrument,
    update,
)
from sessiontrace.model.errors import ConfigError, SessionTraceError
from sessiontrace.tracer import Tracer

if TYPE_CHECKING:
    from sessiontrace import clients, otel
    from sessiontrace.instrumentation.registry import InstrumentReport
    from sessiontrace.model.destination import OTLP, HoneyHive, Humanloop, Local, PostHog
    from sessiontrace.model.sampling import Sample
    from sessiontrace.report import Report, Stats

__all__ = [
    "OTLP",
    "ConfigError",
    "HoneyHive",
    "Humanloop",
    "InstrumentReport",
    "Local",
    "PostHog",
    "Report",
    "Sample",
    "SessionTraceError",
    "Stats",
    "Tracer",
    "aflush",
    "asgi",
    "ashutdown",
    "chain",
    "clients",
    "current_session",
    "current_span",
    "extract",
    "flush",
    "init",
    "inject",
    "instrument",
    "model",
    "otel",
    "score",
    "session",
    "shutdown",
    "span",
    "start_span",
    "stats",
    "stream",
    "suppress",
    "tool",
    "trace",
    "uninstrument",
    "update",
]

__version__ = "0.1.0"

_LATER = {
    "HoneyHive": "sessiontrace.model.destination",
    "Humanloop": "sessiontrace.model.destination",
    "InstrumentReport": "sessiontrace.instrumentation.registry",
    "Local": "sessiontrace.model.destination",
    "OTLP": "sessiontrace.model.destination",
    "PostHog": "sessiontrace.model.destination",
    "Report": "sessiontrace.report",
    "Sample": "sessiontrace.model.sampling",
    "Stats": "sessiontrace.report",
}


def __getattr__(name: str) -> Any:
    """Names that not every program needs are imported when they are first asked for."""
    import importlib

    if name in ("clients", "otel", "testing"):
        return importlib.import_module(f"sessiontrace.{name}")
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_LATER[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER, "clients", "otel", "testing"})
