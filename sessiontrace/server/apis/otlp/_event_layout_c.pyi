from typing import Any

from sessiontrace.wire.span_reader import SpanFields

def derived_id(trace_id: str, span_id: str) -> str: ...
def event_of(
    span_fields: SpanFields,
    event_id: str,
    session_id: str,
    parent_id: str | None,
    source: str | None,
    start_ns: int,
    end_ns: int,
) -> dict[str, Any]: ...
