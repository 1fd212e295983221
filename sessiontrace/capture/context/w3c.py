"""W3C trace headers: the current span written into them, and the span read back from any headers.

Runs in the user's thread. ``traceparent`` carries the trace, whose id is mostly
the session's, and the low half of the event id. ``tracestate`` carries our whole event id, and the
session's where the trace has another id (``st=event;session``). ``baggage`` carries the session's
and user's ids and the names of the session's destinations (``session.to``), unless it is for all.
A stranger can write all of it, so by default only the ids of trace and span count (``TRUST``).
Invariant: whatever the headers hold, nothing raises, and nothing longer than its bound is read.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, NamedTuple, TypeVar

from sessiontrace.capture.encoding.safe_text import sanitize_text, text_of
from sessiontrace.capture.handle import NEW, SUPPRESSED, Handle, SessionHandle
from sessiontrace.capture.non_recording import RemoteSpan
from sessiontrace.capture.session import Session
from sessiontrace.capture.tracer_state import TracerState
from sessiontrace.model.ids import PARENT_SPAN_ID, is_uuid
from sessiontrace.model.sampling import is_sampled
from sessiontrace.runtime.log import log_once
from sessiontrace.runtime.signals import raise_if_from_signal

__all__ = ["TRUST", "extract", "inject", "trust_in"]

H = TypeVar("H", bound=MutableMapping[str, str])

_TRACEPARENT = re.compile(
    r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII
)
TRUST = ("none", "trace", "all")
"""What is taken from headers: nothing, the ids of trace and span, or all that is in them."""

_HEADER_MAX = 8_192
_MEMBERS_MAX = 64
_NAMES_MAX = 16
_BAGGAGE_MAX = {"session.id": 256, "user.id": 256, "session.to": 1024}  # our baggage
_LOW = (1 << 62) - 1


class _Context(NamedTuple):
    trace_id: str
    span_id: str
    flags: int
    event_id: str | None
    session_id: str | None
    baggage: dict[str, str]


def inject(span: Handle | None, headers: H, propagators: frozenset[str] | None = None) -> H:
    """Write the span into ``headers``, beside what other tracers wrote; returns them.

    ``propagators``: which headers, by default as ``init`` says.
    """
    if span is None or span.state == NEW or span.session.skip_reason == SUPPRESSED:
        return headers
    propagators = span.recorder.propagators if propagators is None else propagators
    try:
        from urllib.parse import quote  # here: not every program calls another one

        session = span.session
        if "tracecontext" in propagators:
            _write_context(span, session, headers)
        if "baggage" not in propagators:
            return headers
        ours = _baggage_of(session)
        members = [
            member
            for member in _members(_get(headers, "baggage"))
            if member.partition("=")[0].strip() not in ours
        ]
        members += [f"{name}={quote(value, safe='')}" for name, value in ours.items()]
        headers["baggage"] = ",".join(members)
    except Exception as error:  # headers that refuse to be written
        raise_if_from_signal(error)
    return headers


def _write_context(span: Handle, session: SessionHandle, headers: MutableMapping[str, str]) -> None:
    trace_id = session.trace_id or session.session_id.replace("-", "")
    ids = span.event_id if session.trace_id is None else f"{span.event_id};{session.session_id}"
    flags = "00" if session.skip_reason == "sampled" else "01"
    headers["traceparent"] = f"00-{trace_id}-{span.event_id[-17:].replace('-', '')}-{flags}"
    states = _members(_get(headers, "tracestate"))
    others = [state for state in states if state[:3] != "st="]
    headers["tracestate"] = ",".join([f"st={ids}", *others[:31]])


def _baggage_of(session: SessionHandle) -> dict[str, str]:
    baggage = {"session.id": session.conversation_id or session.session_id}
    user = (session.field_group("user_properties") or {}).get("user_id")
    if isinstance(user, str):
        baggage["user.id"] = user
    if session.to is not None:
        baggage["session.to"] = ",".join(session.to)
    return {
        name: sanitize_text(str(value))[: _BAGGAGE_MAX[name]] for name, value in baggage.items()
    }


def trust_in(recorder: TracerState, trust: str | None = None) -> str:
    """How far headers are trusted: ``trust``, by default as ``init`` says."""
    if trust is None:
        return recorder.trust
    if trust in TRUST:
        return trust
    log_once(
        "propagation:trust",
        "trust=%s is unknown and nothing is taken from headers; use 'none', 'trace' or 'all'",
        text_of(trust, 80),
    )
    return "none"


def extract(
    recorder: TracerState,
    headers: object,
    name: str = "remote",
    trust: str | None = None,
    propagators: frozenset[str] | None = None,
) -> Session | RemoteSpan | None:
    """The handle to run under; None when the headers name no span, or nothing is trusted.

    From another of our processes it is that very span. From another tracer it is a turn of the
    session that the baggage names, else of a session made from the trace id. Only with
    ``trust="all"`` do the baggage and the sender's decision on sampling count. ``propagators``:
    which headers are read, by default as ``init`` says.
    """
    trust = trust_in(recorder, trust)
    propagators = recorder.propagators if propagators is None else propagators
    if trust == "none" or "tracecontext" not in propagators:
        return None
    try:
        context = _read(headers)
    except Exception as error:
        raise_if_from_signal(error)
        context = None
    if context is None:
        return None
    baggage = context.baggage if trust == "all" and "baggage" in propagators else {}
    destinations = baggage.get("session.to")
    to = None if destinations is None else destinations.split(",")[:_NAMES_MAX]
    if context.event_id is not None:
        session_id = context.session_id or str(uuid.UUID(context.trace_id))
        sampled = (
            bool(context.flags & 1) if trust == "all" else is_sampled(session_id, recorder.sample)
        )
        return RemoteSpan(
            recorder,
            session_id,
            context.event_id,
            sampled=sampled,
            to=to,
            trace_id=None if context.session_id is None else context.trace_id,
        )
    session_id = baggage.get("session.id") or context.session_id or _foreign(context.trace_id)
    return Session(
        recorder,
        name,
        session_id=session_id,
        user=baggage.get("user.id"),
        to=to,
        metadata={PARENT_SPAN_ID: context.span_id},
        trace_id=context.trace_id,
    )


def _foreign(trace_id: str) -> str:
    """The trace id of another tracer as a UUID that strict validators accept."""
    number = int(trace_id, 16)
    high = (number >> 64) & ~(0xF << 12) | (4 << 12)
    return str(uuid.UUID(int=high << 64 | number & _LOW | 1 << 63))


def _read(headers: object) -> _Context | None:
    match = _TRACEPARENT.fullmatch(_get(headers, "traceparent")[:_HEADER_MAX].strip())
    if match is None:
        return None
    version, trace_id, span_id, flags, extra = match.groups()
    if version == "ff" or (version == "00" and extra) or not int(trace_id, 16) * int(span_id, 16):
        return None
    states = _members(_get(headers, "tracestate"))
    ours = next((state[3:] for state in states if state[:3] == "st="), "").partition(";")
    event_id = ours[0] if is_uuid(ours[0]) else None
    if event_id is not None and event_id[-17:].replace("-", "") != span_id:
        event_id = None  # a tracer between us went on with the trace: its span is the parent
    session_id = ours[2].lower() if is_uuid(ours[2]) else None
    baggage = _baggage(_get(headers, "baggage"))
    return _Context(trace_id, span_id, int(flags, 16), event_id, session_id, baggage)


def _baggage(header: str) -> dict[str, str]:
    from urllib.parse import unquote

    baggage: dict[str, str] = {}
    for member in _members(header):
        name, equals, value = member.partition(";")[0].partition("=")
        bound = _BAGGAGE_MAX.get(name.strip(), 0)
        if equals and 0 < len(value) <= 4 * bound:
            baggage[name.strip()] = sanitize_text(unquote(value.strip()))[:bound]
    return baggage


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
