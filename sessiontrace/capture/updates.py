"""Updates: scores and values for an event whose record is written already; from any thread.

Invariant: an ``update`` record names its event and session and holds only what is to be merged.
"""

from __future__ import annotations

from typing import Any

import orjson

from sessiontrace.capture.encoding.encoder import encode
from sessiontrace.capture.encoding.record_body import assemble, redact_and_bound
from sessiontrace.capture.encoding.safe_text import text_of
from sessiontrace.capture.frame_headers import FrameHeaders
from sessiontrace.capture.handle import OPEN, Handle
from sessiontrace.capture.span import name_of
from sessiontrace.capture.tracer_state import TracerState
from sessiontrace.model.ids import TRACE_ID, is_uuid, session_uuid
from sessiontrace.model.sampling import is_sampled
from sessiontrace.runtime.log import log_once
from sessiontrace.runtime.signals import raise_if_from_signal

__all__ = ["offer_update", "score", "update_ended"]


def update_ended(handle: Handle, parts: dict[str, Any]) -> None:
    """Merge ``parts`` into the event of a handle that has ended."""
    session = handle.session
    if session.skip_reason is None:
        frame_headers = session.frame_headers
        if session.trace_id is not None:  # an exporter sees the update long after the event
            parts["metadata"] = {**parts.get("metadata", {}), TRACE_ID: session.trace_id}
        offer_update(handle.recorder, frame_headers, handle.event_id, session.session_id, parts)


def offer_update(
    recorder: TracerState,
    frame_headers: FrameHeaders,
    event_id: str,
    session_id: str,
    parts: dict[str, Any],
) -> None:
    """Offer one ``update`` record."""
    if recorder.inert:
        return
    body = {"event_id": event_id, "session_id": session_id, **parts}
    try:
        outputs = body.pop("outputs", None)  # encoded
        encoded = assemble(body, None, outputs)
        recorder.offer(
            frame_headers.update, redact_and_bound(encoded, recorder.redact, True, is_update=True)
        )
    except Exception as error:
        raise_if_from_signal(error)
        recorder.drop("encode_error")


def score(
    recorder: TracerState,
    here: Handle | None,
    name: str,
    value: object,
    comment: str | None,
    session_id: str | None,
    event_id: str | None,
) -> None:
    """Merge a score into a session or event, open or ended, of this process or another one."""
    label = name_of(name)
    bucket = "metrics" if issubclass(type(value), (int, float)) else "feedback"
    parts: dict[str, Any] = {bucket: {label: value}}
    if comment is not None:
        parts.setdefault("feedback", {})[f"{label}_comment"] = text_of(comment)
    session = None if here is None else here.session
    if session_id is None and event_id is None:
        if session is None:
            log_once("score", "score(%r) has no session here; pass session_id=", label)
        elif session.state == OPEN:
            session.set(**parts)
        else:
            update_ended(session, _encoded(parts))
        return
    if session_id is None and session is not None:
        session_id = session.session_id
    if session_id is None or (event_id is not None and not is_uuid(str(event_id))):
        log_once("score", "score(%r) needs session_id=, and event_id= of an event if any", label)
        return
    target = session_uuid(text_of(session_id))
    if not is_sampled(target, recorder.sample):
        recorder.drop("sampled")
        return
    same = session is not None and session.session_id == target
    frame_headers = (
        session.frame_headers if same and session is not None else recorder.frame_headers
    )
    offer_update(recorder, frame_headers, str(event_id or target).lower(), target, _encoded(parts))


def _encoded(parts: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {group: orjson.Fragment(encode(values)) for group, values in parts.items()}
