"""Between processes: the current span in W3C headers, and back out of anybody's headers.

Runs in the user's thread. ``traceparent`` carries the session (trace id) and the low half of the
event id, ``tracestate`` our whole event id (``st=``), ``baggage`` the session's and user's ids and
the names of the destinations that the session is for (``session.to``), if it is not for all.
Invariant: whatever the headers hold, nothing raises, and nothing longer than its bound is read.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from sessiontrace.capture.encoding.safe_text import sanitize_text
from sessiontrace.capture.handle import ENDED, NEW, OPEN, SUPPRESSED, Handle, SessionHandle
from sessiontrace.capture.session import Session
from sessiontrace.capture.tracer_state import TracerState
from sessiontrace.model.ids import is_uuid

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["RemoteSpan", "extract", "inject"]

H = TypeVar("H", bound=MutableMapping[str, str])

_TRACEPARENT = re.compile(
    r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII
)
_HEADER_MAX = 8_192
_MEMBERS_MAX = 64
_NAMES_MAX = 16
_TOLD = {"session.id": 256, "user.id": 256, "session.to": 1024}  # our baggage, and its bounds
_LOW = (1 << 62) - 1


class RemoteSpan(Session):
    """A span of another process, as the parent of what happens here. Records nothing itself.

    Use it with ``with`` or ``async with``, or as ``parent=`` of ``start_span``.
    """

    __slots__ = ()

    def __init__(
        self,
        recorder: TracerState,
        session_id: str,
        event_id: str,
        *,
        chosen: bool,
        to: Sequence[str] | None = None,
    ) -> None:
        super().__init__(recorder, "remote", to=to)
        self.recorder = recorder
        self.session_id = session_id
        self.event_id = event_id
        self.parent = None
        self.session = self
        self.frame_headers = recorder.frame_headers
        if not chosen:
            self._skip("sampled")
        self._route(recorder)
        self.source = recorder.source

    def __enter__(self) -> Self:
        if self.state == NEW:
            current = self.recorder.current
            self.parent = current.get()
            self.state = OPEN
            current.set(self)
        return self

    def set(self, **parts: Any) -> Self:
        """Does nothing: the event belongs to the other process."""
        return self

    def _end(self, *, leaving: bool) -> None:
        """Leave it: what was current before is current again."""
        if self.state == OPEN:
            self.state = ENDED
            current = self.recorder.current
            if current.get() is self:
                current.set(self.parent)

    def _offer(self, recorder: TracerState, head: bytes, envelope: dict[str, Any]) -> None:
        """Nothing to record."""


class _Context(NamedTuple):
    trace_id: str
    span_id: str
    flags: int
    event_id: str | None
    baggage: dict[str, str]


def inject(span: Handle | None, headers: H) -> H:
    """Write the span into ``headers`` (what is there of others is kept); returns them."""
    if span is None or span.state == NEW or span.session.skip_reason == SUPPRESSED:
        return headers
    try:
        from urllib.parse import quote  # here: not every program speaks to another one

        session = span.session
        trace_id = session.session_id.replace("-", "")
        flags = "00" if session.skip_reason == "sampled" else "01"
        headers["traceparent"] = f"00-{trace_id}-{span.event_id[-17:].replace('-', '')}-{flags}"
        others = [one for one in _members(_get(headers, "tracestate")) if one[:3] != "st="]
        headers["tracestate"] = ",".join([f"st={span.event_id}", *others[:31]])
        told = _told(session)
        others = [
            one
            for one in _members(_get(headers, "baggage"))
            if one.partition("=")[0].strip() not in told
        ]
        members = [f"{name}={quote(value, safe='')}" for name, value in told.items()]
        headers["baggage"] = ",".join([*others, *members])
    except Exception:  # headers that refuse to be written
        pass
    return headers


def _told(session: SessionHandle) -> dict[str, str]:
    told = {"session.id": session.conversation_id or session.session_id}
    user = (session.field_group("user_properties") or {}).get("user_id")
    if isinstance(user, str):
        told["user.id"] = user
    if session.to is not None:
        told["session.to"] = ",".join(session.to)
    return {name: sanitize_text(str(value))[: _TOLD[name]] for name, value in told.items()}


def extract(recorder: TracerState, headers: object, name: str = "remote") -> Session | None:
    """The handle to run under; None when the headers tell of no span.

    From another of our processes it is that very span. From anybody else's tracing it is a turn of
    the session that the baggage names, else of one made from their trace id.
    """
    try:
        context = _read(headers)
    except Exception:
        context = None
    if context is None:
        return None
    named = context.baggage.get("session.to")
    to = None if named is None else named.split(",")[:_NAMES_MAX]
    if context.event_id is not None:
        session_id, chosen = str(uuid.UUID(context.trace_id)), bool(context.flags & 1)
        return RemoteSpan(recorder, session_id, context.event_id, chosen=chosen, to=to)
    session_id = context.baggage.get("session.id") or _foreign(context.trace_id)
    return Session(
        recorder,
        name,
        session_id=session_id,
        user=context.baggage.get("user.id"),
        to=to,
        metadata={"otel.trace_id": context.trace_id, "otel.parent_span_id": context.span_id},
    )


def _foreign(trace_id: str) -> str:
    """A trace id of others as a UUID that strict validators take."""
    number = int(trace_id, 16)
    high = (number >> 64) & ~(0xF << 12) | (4 << 12)
    return str(uuid.UUID(int=high << 64 | number & _LOW | 1 << 63))


def _read(headers: object) -> _Context | None:
    found = _TRACEPARENT.fullmatch(_get(headers, "traceparent")[:_HEADER_MAX].strip())
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == "ff" or (version == "00" and more) or not int(trace_id, 16) * int(span_id, 16):
        return None
    states = [one[3:] for one in _members(_get(headers, "tracestate")) if one[:3] == "st="]
    event_id = states[0] if states and is_uuid(states[0]) else None
    if event_id is not None and event_id[-17:].replace("-", "") != span_id:
        event_id = None  # somebody between us went on with the trace: their span is the parent
    return _Context(trace_id, span_id, int(flags, 16), event_id, _baggage(_get(headers, "baggage")))


def _baggage(header: str) -> dict[str, str]:
    from urllib.parse import unquote

    found: dict[str, str] = {}
    for member in _members(header):
        name, equals, value = member.partition(";")[0].partition("=")
        most = _TOLD.get(name.strip(), 0)
        if equals and 0 < len(value) <= 4 * most:
            found[name.strip()] = sanitize_text(unquote(value.strip()))[:most]
    return found


def _key(member: str) -> str:
    return member.partition("=")[0].strip()


def _members(header: str) -> list[str]:
    parts = header[:_HEADER_MAX].split(",")[:_MEMBERS_MAX]
    return [part.strip() for part in parts if part.strip()]


def _get(headers: Any, name: str) -> str:
    """One header, by any capitals, from a mapping, a WSGI environment or pairs (also of bytes)."""
    if isinstance(headers, Mapping):
        value = headers.get(name)
        if value is not None:
            return _text(value)
    pairs: Iterable[Any] = headers.items() if hasattr(headers, "items") else headers
    for key, value in pairs:
        if _text(key).lower() in {name, f"http_{name}"}:
            return _text(value)
    return ""


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (list, tuple)):
        return ",".join(map(_text, value))
    return value.decode("latin-1") if isinstance(value, bytes) else ""
