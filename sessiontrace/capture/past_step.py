"""Records of finished steps whose ids and times another tracer gave: spans that it exported.

Runs in the thread that reports them. Values are encoded, bounded, masked and left out as those of
handles are. Invariant: a step that is reported twice gives the same record.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from sessiontrace.capture.encoding.encoder import encode_and_check, encode_object_and_check
from sessiontrace.capture.encoding.record_body import assemble, encode_event, redact_and_bound
from sessiontrace.capture.frame_headers import FrameHeaders
from sessiontrace.capture.span_values import NO_INPUTS, name_of
from sessiontrace.capture.tracer_state import TracerState

__all__ = ["PastStep", "offer_end", "offer_event", "offer_start"]

_MS_NS = 1_000_000


class PastStep(NamedTuple):
    """One step; times in Unix ns. ``groups``: "metadata", "config" and so on, by name.

    ``parent_id`` is unused for a session, ``end_ns`` for one that starts.
    """

    event_id: str
    session_id: str
    parent_id: str
    type: str
    name: str
    source: str
    start_ns: int
    end_ns: int
    groups: Mapping[str, Mapping[str, Any]]
    inputs: Mapping[str, Any] | None = None
    outputs: Mapping[str, Any] | None = None
    error: str | None = None


def offer_event(
    recorder: TracerState, step: PastStep, frame_headers: FrameHeaders | None = None
) -> bool:
    """Offer a step as an event; whether it was accepted.

    ``frame_headers``: of its session, where that has destinations of its own.
    """
    parts, inputs, outputs, needs_redaction = _encoded(recorder, step)
    encoded = encode_event(
        step.event_id,
        step.session_id,
        step.parent_id,
        step.type,
        step.source,
        step.start_ns,
        max(step.start_ns, step.end_ns),
        name_of(step.name),
        parts,
        None,
        inputs,
        outputs,
    )
    head = (frame_headers or recorder.frame_headers).event
    return recorder.offer(head, redact_and_bound(encoded, recorder.redact, needs_redaction))


def offer_start(recorder: TracerState, step: PastStep) -> bool:
    """Offer the start of a session or turn; whether it was accepted."""
    return _offer_session(recorder, recorder.frame_headers.start, step, {})


def offer_end(recorder: TracerState, step: PastStep) -> bool:
    """Offer the end of a session or turn; whether it was accepted."""
    end_ns = max(step.start_ns, step.end_ns)
    times = {"end_time": end_ns // _MS_NS, "duration": (end_ns - step.start_ns) / _MS_NS}
    return _offer_session(recorder, recorder.frame_headers.end, step, times)


def _offer_session(
    recorder: TracerState, head: bytes, step: PastStep, times: dict[str, Any]
) -> bool:
    parts, inputs, outputs, needs_redaction = _encoded(recorder, step)
    start, nanos = divmod(step.start_ns, _MS_NS)
    body = {
        "event_id": step.event_id,
        "session_id": step.session_id,
        "event_type": "session",
        "source": step.source,
        "start_time": start,
        **({"start_nanos": nanos} if nanos else {}),
        **times,
        "event_name": name_of(step.name),
        **parts,
    }
    encoded = assemble(body, inputs, outputs)
    return recorder.offer(head, redact_and_bound(encoded, recorder.redact, needs_redaction))


def _encoded(
    recorder: TracerState, step: PastStep
) -> tuple[dict[str, Any], bytes, bytes | None, bool]:
    """The groups of fields, inputs and outputs, and whether anything needs redaction."""
    clean_texts = recorder.clean_texts
    needs_redaction = clean_texts.needs_masking((step.name, step.error or ""))
    parts: dict[str, Any] = {}
    for name, values in step.groups.items():
        if values:
            encoded, is_secret = encode_and_check(dict(values), clean_texts)
            needs_redaction |= is_secret
            parts[name] = orjson.Fragment(encoded)
    if step.error is not None:
        parts["error"] = step.error
    inputs, outputs = NO_INPUTS, None
    if recorder.capture and step.inputs:
        inputs, is_secret = encode_object_and_check(step.inputs, "input", clean_texts)
        needs_redaction |= is_secret
    if recorder.capture and step.outputs is not None:
        outputs, is_secret = encode_object_and_check(step.outputs, "result", clean_texts)
        needs_redaction |= is_secret
    return parts, inputs, outputs, needs_redaction
