"""The form of ``PlainCalls`` in Python, which adds none; see ``plain_call``."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sessiontrace.server.apis.otlp.assembled.assembly import Assembly
from sessiontrace.server.apis.otlp.assembled.trace import Place
from sessiontrace.wire.received_span import ReceivedSpan

__all__ = ["PlaceOf", "PlainCalls"]

PlaceOf = Callable[[ReceivedSpan], tuple["tuple[int, str, str] | None", Place]]
"""What a span names as its session (``session_claim``), and the place of its event."""


class PlainCalls:
    """The plain calls of one request.

    ``ids``: the events of the request's spans, by the ids of their traces and spans. ``now``: Unix
    ns. ``place_of``: depends on a call's trace, session and resource, and on whether it is a root.
    """

    def __init__(
        self,
        assembly: Assembly,
        ids: Mapping[tuple[str, str], str],
        now: int,
        place_of: PlaceOf,
    ) -> None:
        """Nothing is kept: see ``add``."""

    def add(self, span: ReceivedSpan) -> str | None:
        """Add the record of a span; returns its event's id, or None: the span is not plain."""
        return None

    def finish(self) -> None:
        """Say of each session what the calls say of it."""
