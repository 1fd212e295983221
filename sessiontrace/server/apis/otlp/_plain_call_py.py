"""The forms in Python; ``PlainCalls`` adds none. See ``plain_call``."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sessiontrace.server.apis.otlp.assembled.assembly import Assembly
from sessiontrace.server.apis.otlp.assembled.trace import Place
from sessiontrace.wire.received_span import ReceivedSpan

__all__ = ["Ids", "PlaceOf", "PlainCalls", "identify"]

Ids = dict[tuple[str, str], str]
"""The events of a request's spans, by the ids of their traces and spans."""

PlaceOf = Callable[[ReceivedSpan], tuple["tuple[int, str, str] | None", Place]]
"""What a span names as its session (``session_claim``), and the place of its event."""


def identify(
    spans: Iterable[ReceivedSpan], prepare: Callable[[ReceivedSpan], str | None]
) -> tuple[list[ReceivedSpan], Ids]:
    """The spans that can be read, prepared, and the ids of their events.

    ``prepare``: prepares a span and returns its event's id, or None: it cannot be read.
    """
    readable: list[ReceivedSpan] = []
    ids: Ids = {}
    for span in spans:
        if (event_id := prepare(span)) is not None:
            ids[span.trace_id, span.span_id] = event_id
            readable.append(span)
    return readable, ids


class PlainCalls:
    """The plain calls of one request.

    ``ids``: of ``identify``. ``now``: Unix ns. ``place_of``: depends on a call's trace, session and
    resource, and on whether it is a root.
    """

    def __init__(
        self,
        assembly: Assembly,
        ids: Ids,
        now: int,
        place_of: PlaceOf,
    ) -> None:
        """Nothing is kept: see ``add``."""

    def add(self, span: ReceivedSpan) -> str | None:
        """Add the record of a span; returns its event's id, or None: the span is not plain."""
        return None

    def finish(self) -> None:
        """Say of each session what the calls say of it."""
