"""What handles need to know of their tracer, and nothing more.

Made once by each ``init``, then read from every user thread without a lock. Invariant: a handle
keeps the recorder of its session, so a later ``init`` never mixes two configurations in one
session.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple, Protocol

from sessiontrace.capture.redaction.clean_text_cache import NO_REDACTION

if TYPE_CHECKING:
    from sessiontrace.capture.encoding.record_parts import Redact
    from sessiontrace.capture.span import Span

__all__ = ["UNOPENED", "FrameHeaders", "TracerProtocol", "TracerState"]

# Plain classes here: attrs would be a third of the time that `import sessiontrace` takes.


class FrameHeaders(NamedTuple):
    """The frame heads of one route, one for each kind of record."""

    start: bytes
    event: bytes
    end: bytes
    update: bytes = b" update * "


class TracerState:
    """``offer(head, body)`` takes a record and says whether it was accepted; it never raises.

    ``drop(reason)`` counts a record that never came to be offered. ``current`` is the context
    variable that holds the innermost open handle. ``redact`` masks secrets in the encoded parts of
    a record, ``harmless`` knows the texts in which there are none. ``sample``: the share of
    sessions to record. ``route`` gives the heads for the
    destinations of those names, None when it knows none of them. ``inert`` is set in a forked child
    on the recorder of its parent: handles that were open at the fork end in the parent only.
    ``skips``: a session was not recorded, so it is worth asking whether this one is.
    """

    __slots__ = (
        "capture",
        "current",
        "drop",
        "harmless",
        "heads",
        "inert",
        "offer",
        "redact",
        "route",
        "sample",
        "service",
        "skips",
        "source",
    )

    def __init__(
        self,
        *,
        offer: Callable[[bytes, bytes], bool],
        drop: Callable[[str], None],
        current: ContextVar[Span | None],
        heads: FrameHeaders,
        source: str,
        service: str,
        capture: bool = True,
        redact: Redact | None = None,
        sample: float = 1.0,
        route: Callable[[tuple[str, ...]], FrameHeaders | None] | None = None,
    ) -> None:
        self.offer = offer
        self.drop = drop
        self.current = current
        self.heads = heads
        self.source = source
        self.service = service
        self.capture = capture
        self.redact = redact
        self.harmless = NO_REDACTION if redact is None else redact.harmless
        self.sample = sample
        self.route = route
        self.inert = False
        self.skips = False


UNOPENED = TracerState(
    offer=lambda head, body: False,
    drop=lambda reason: None,
    current=ContextVar("sessiontrace.unopened", default=None),
    heads=FrameHeaders(b"", b"", b""),
    source="",
    service="",
)
"""Stands in until a session opens that was made before there was a recorder."""


class TracerProtocol(Protocol):
    """Where decorated functions and sessions find a recorder at the moment of use: a tracer."""

    @property
    def off(self) -> bool:
        """Whether nothing is recorded now."""
        ...

    @property
    def recorder(self) -> TracerState | None:
        """The recorder, or None before the first use."""
        ...

    def begin(self) -> TracerState | None:
        """The recorder, after initialising from the environment if need be; None when off."""
        ...
