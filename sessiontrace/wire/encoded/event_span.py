"""The span of an event in protobuf, written from its encoded record by a plan, without decoding.

A pure function, no thread owns it. ``event_span`` has two forms: ``_event_span_c``, compiled when
the package is installed and a C compiler is there, and ``_event_span_py``, which is the
specification. Invariant: it writes what ``span_writer.span_of`` and ``protobuf_item`` give for the
same record, or nothing.
"""

from __future__ import annotations

from sessiontrace.wire.encoded._event_span_py import (
    REASON,
    REFUSED,
    TRACE_KEY,
    Plan,
    Rule,
    SessionValues,
    plan_of,
)

try:
    from sessiontrace.wire.encoded._event_span_c import event_span
except ImportError as _error:
    from sessiontrace.runtime import compiled_forms

    compiled_forms.note(_error)
    from sessiontrace.wire.encoded._event_span_py import event_span

    COMPILED = False
    """Whether the compiled form is in use."""
else:
    COMPILED = True

__all__ = [
    "COMPILED",
    "REASON",
    "REFUSED",
    "TRACE_KEY",
    "Plan",
    "Rule",
    "SessionValues",
    "event_span",
    "plan_of",
]
