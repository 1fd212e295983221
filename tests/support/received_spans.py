"""A span as a server has received it, for tests of what is read of its attributes."""

from __future__ import annotations

from typing import Any

from sessiontrace.wire.dialects.translation import conventional
from sessiontrace.wire.received_span import ReceivedSpan
from sessiontrace.wire.span_reader import SpanFields, read_span

__all__ = ["read", "span_of", "translated"]


def span_of(
    attributes: dict[str, Any],
    *,
    name: str = "span",
    scope: str = "",
    parent_id: str | None = None,
    events: Any = (),
) -> ReceivedSpan:
    return ReceivedSpan(
        trace_id="5b8efff798038103d269b633813fc60c",
        span_id="eee19b7ec3c1b174",
        parent_id=parent_id,
        name=name,
        start_ns=1_790_000_000 * 10**9,
        end_ns=1_790_000_001 * 10**9,
        attributes=attributes,
        resource={},
        scope=scope,
        failed=False,
        message="",
        events=[*events],
    )


def translated(attributes: dict[str, Any], **fields: Any) -> ReceivedSpan:
    """The span in conventional names."""
    return conventional(span_of(attributes, **fields))


def read(attributes: dict[str, Any], **fields: Any) -> SpanFields:
    return read_span(translated(attributes, **fields))
