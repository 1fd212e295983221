"""Records of steps that are over, whose ids and times somebody else gave: another tracer's spans.

Runs in the thread that reports them. Values are encoded, bounded, masked and left out as those of
handles are. Invariant: a step that is reported twice gives the same record.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from sessiontrace.capture.encoding.encoder import encode, encode_object
from sessiontrace.capture.encoding.record_body import assemble, encode_event, redact_and_bound
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


def offer_event(recorder: TracerState, step: PastStep) -> bool:
    """Offer a step as an event; whether it was accepted."""
    inputs, outputs = _payloads(recorder, step)
    encoded = encode_event(
        step.event_id,
        step.session_id,
        step.parent_id,
        step.type,
        step.source,
        step.start_ns,
        max(step.start_ns, step.end_ns),
        name_of(step.name),
        _parts(step),
        None,
        inputs,
        outputs,
    )
    return recorder.offer(
        recorder.frame_headers.event, redact_and_bound(encoded, recorder.redact, True)
    )


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
        **_parts(step),
    }
    encoded = assemble(body, *_payloads(recorder, step))
    return recorder.offer(head, redact_and_bound(encoded, recorder.redact, True))


def _payloads(recorder: TracerState, step: PastStep) -> tuple[bytes, bytes | None]:
    if not recorder.capture:
        return NO_INPUTS, None
    inputs = NO_INPUTS if not step.inputs else encode_object(step.inputs, "input")
    return inputs, None if step.outputs is None else encode_object(step.outputs, "result")


def _parts(step: PastStep) -> dict[str, Any]:
    parts: dict[str, Any] = {
        name: orjson.Fragment(encode(dict(values)))
        for name, values in step.groups.items()
        if values
    }
    if step.error is not None:
        parts["error"] = step.error
    return parts
