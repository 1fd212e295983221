"""The state of one configuration of a tracer, as far as handles need it.

``init`` makes it, then every user thread reads it without a lock. Invariant: a handle keeps the
state of its session, so a later ``init`` never mixes two configurations in one session.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

from sessiontrace.capture.frame_headers import FrameHeaders
from sessiontrace.capture.handle import Handle
from sessiontrace.capture.redaction.clean_text_cache import NO_REDACTION, CleanTextCache
from sessiontrace.model.propagators import PROPAGATORS

if TYPE_CHECKING:
    from sessiontrace.capture.encoding.record_body import Redact

__all__ = ["TracerProtocol", "TracerState"]


_SERVICE_MAX = 512


class TracerState:
    """What spans and sessions of one configuration share.

    ``offer(head, body)`` takes a record, says whether it was accepted, and never raises.
    ``holds(body)``: whether that record was accepted just now. ``drop(reason)`` counts a record
    that is not offered. ``current`` is the context variable that holds the innermost open handle.
    ``session_class``, ``span_class`` and ``unrecorded_class``: ``Session``, ``Span`` and
    ``UnrecordedSpan``, which have this state and so cannot be named here. ``redact`` masks secrets
    in the encoded parts of a record, ``clean_texts`` remembers the texts without any. ``sample``:
    the share of sessions to record. ``route`` gives the frame headers for the destinations of those
    names, None when it knows none of them. ``is_service_clean``: the service's name goes into
    records as it is. ``inert`` is set in a forked child on the state of its parent: handles that
    were open at the fork end in the parent only. ``skips``: some session is not recorded, so it is
    worth asking whether this one is. ``tracer``: a weak reference to the tracer, which finds the
    state of another process when a handle was pickled. ``trust``: what is taken from the headers of
    a request, see `context.w3c`. ``propagators``: which headers are written and read.
    ``place(handle, parent)`` notes the span of another tracer that the handle opens in; None where
    no other tracer shares its context. ``stored_steps(session_id)`` reads a session's tree from the
    local store, for notebooks; None where there is no local store.
    """

    __slots__ = (
        "capture",
        "clean_texts",
        "current",
        "drop",
        "frame_headers",
        "holds",
        "inert",
        "is_service_clean",
        "offer",
        "place",
        "propagators",
        "redact",
        "route",
        "sample",
        "service",
        "session_class",
        "skips",
        "source",
        "span_class",
        "stored_steps",
        "tracer",
        "trust",
        "unrecorded_class",
    )

    def __init__(
        self,
        *,
        offer: Callable[[bytes, bytes], bool],
        drop: Callable[[str], None],
        current: ContextVar[Handle | None],
        session_class: type[Any],
        span_class: type[Any],
        unrecorded_class: type[Any],
        frame_headers: FrameHeaders,
        source: str,
        service: str,
        capture: bool = True,
        redact: Redact | None = None,
        sample: float = 1.0,
        route: Callable[[tuple[str, ...]], FrameHeaders | None] | None = None,
        tracer: Callable[[], Any] | None = None,
        trust: str = "trace",
        propagators: frozenset[str] = PROPAGATORS,
        holds: Callable[[bytes], bool] = lambda body: False,
    ) -> None:
        self.offer: Callable[[bytes, bytes], bool] = offer
        self.holds: Callable[[bytes], bool] = holds
        self.drop: Callable[[str], None] = drop
        self.current: ContextVar[Handle | None] = current
        self.session_class: type[Any] = session_class
        self.span_class: type[Any] = span_class
        self.unrecorded_class: type[Any] = unrecorded_class
        self.frame_headers: FrameHeaders = frame_headers
        self.source: str = source
        self.service: str = service
        self.capture: bool = capture
        self.redact: Redact | None = redact
        self.clean_texts: CleanTextCache = NO_REDACTION if redact is None else redact.clean_texts
        self.is_service_clean: bool = len(service) <= _SERVICE_MAX and not (
            self.clean_texts.needs_masking(({"service": service}, service))
        )
        self.sample: float = sample
        self.route: Callable[[tuple[str, ...]], FrameHeaders | None] | None = route
        self.tracer: Callable[[], Any] | None = tracer
        self.trust: str = trust
        self.propagators: frozenset[str] = propagators
        self.stored_steps: Callable[[str], Any] | None = None
        self.place: Callable[[Handle, Handle | None], None] | None = None
        self.inert: bool = False
        self.skips: bool = False

    def __copy__(self) -> TracerState:
        return self

    def __deepcopy__(self, memo: object) -> TracerState:
        return self

    def unless_taken(self) -> TracerState:
        """The same, for a record that is offered again after an interruption."""
        again = TracerState.__new__(TracerState)
        for name in TracerState.__slots__:
            if hasattr(self, name):
                setattr(again, name, getattr(self, name))
        again.offer = lambda head, body: self.holds(body) or self.offer(head, body)
        return again


class TracerProtocol(Protocol):
    """Where decorated functions and sessions find the state when they are used: a tracer."""

    @property
    def off(self) -> bool:
        """Whether nothing is recorded now."""
        ...

    @property
    def recorder(self) -> TracerState | None:
        """The state, or None before the first use."""
        ...

    def begin(self) -> TracerState | None:
        """The state, after initialising from the environment if need be; None when off."""
        ...
