"""Traces and observations of Langfuse's ingestion API as spans and late changes of spans.

Pure functions, no thread owns them. Source: "Ingestion" in Langfuse's API. Invariant: an
observation is the same event whether its parts come in one request or in several, in any order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sessiontrace.server import record_builder
from sessiontrace.server.apis.langfuse.ids import observation_span, trace_of, trace_span
from sessiontrace.server.apis.otlp.event_layout import fields_of
from sessiontrace.server.http import RequestRejected
from sessiontrace.wire.dialects.translation import conventional
from sessiontrace.wire.received_span import ReceivedSpan
from sessiontrace.wire.span_reader import read_span

__all__ = ["KINDS", "SENT", "TRACE", "changes_of", "merged", "span_of"]

Body = dict[str, Any]

TRACE = "trace"
SENT = "sent at"
"""In a body: when its event was sent, which counts where the body has no time of its own."""
KINDS: Mapping[str, str] = {
    "trace-create": TRACE,
    "span-create": "span",
    "span-update": "span",
    "generation-create": "generation",
    "generation-update": "generation",
    "event-create": "event",
    "observation-create": "",
    "observation-update": "",
}
"""The events of the API, and which observation they describe; empty where their body says it."""

_OBSERVATION = {
    "input": "input",
    "output": "output",
    "model": "model.name",
    "modelParameters": "model.parameters",
    "metadata": "metadata",
    "level": "level",
    "statusMessage": "status_message",
    "version": "version",
    "promptName": "prompt.name",
    "promptVersion": "prompt.version",
    "completionStartTime": "completion_start_time",
    "usageDetails": "usage_details",
    "costDetails": "cost_details",
    "environment": "environment",
}
_TRACE = {
    "sessionId": "langfuse.session.id",
    "userId": "langfuse.user.id",
    "name": "langfuse.trace.name",
    "tags": "langfuse.trace.tags",
    "metadata": "langfuse.trace.metadata",
    "input": "langfuse.observation.input",
    "output": "langfuse.observation.output",
    "release": "langfuse.release",
    "version": "langfuse.version",
    "environment": "langfuse.environment",
}
_COSTS = {"inputCost": "input", "outputCost": "output", "totalCost": "total"}
_PATCHED = ("inputs", "outputs", "config", "metadata", "metrics", "error", "user_properties")


def merged(before: Body, body: Body) -> Body:
    """Two bodies of one observation, the later one on top; metadata merge by key."""
    both = {**before, **{name: value for name, value in body.items() if value is not None}}
    if isinstance(old := before.get("metadata"), dict) and isinstance(body.get("metadata"), dict):
        both["metadata"] = {**old, **body["metadata"]}
    return both


def span_of(kind: str, body: Body, at: float) -> ReceivedSpan:
    """The span that a trace or observation is. ``at``: Unix ms when it was sent.

    Raises ``RequestRejected`` without an id of the trace.
    """
    own = _id(body, "id")
    trace_id = own if kind == TRACE else _id(body, "traceId")
    if kind == TRACE:
        span_id, parent = trace_span(own), None
    else:
        span_id = observation_span(own)
        above = body.get("parentObservationId")
        has_parent = isinstance(above, str) and above
        parent = observation_span(str(above)) if has_parent else trace_span(trace_id)
    start = record_builder.moment(body.get("startTime") or body.get("timestamp") or body.get(SENT))
    start = at if start is None else start
    end = record_builder.moment(body.get("endTime"))
    name = body.get("name")
    return ReceivedSpan(
        trace_id=trace_of(trace_id),
        span_id=span_id,
        parent_id=parent,
        name=name if isinstance(name, str) and name else kind,
        start_ns=_ns(start),
        end_ns=_ns(start if end is None else max(start, end)),
        attributes=_trace_attributes(body) if kind == TRACE else _attributes(kind, body),
        resource={},
        scope="langfuse",
        failed=False,
        message="",
        events=[],
    )


def changes_of(kind: str, body: Body, span: ReceivedSpan) -> Body:
    """The fields of an event that a body changes: those that it says, and no others."""
    fields = fields_of(read_span(conventional(span)))
    fields["metadata"] = {k: v for k, v in fields["metadata"].items() if k != "otel"}
    changes: Body = {name: fields[name] for name in _PATCHED if fields[name]}
    if isinstance(body.get("name"), str) and body["name"]:
        changes["event_name"] = body["name"]
    began = record_builder.moment(body.get("timestamp")) if kind == TRACE else None
    if began is not None:  # a later change of the trace has no time of its own
        times = record_builder.times_of_ns(_ns(began), _ns(began))
        changes |= {"start_time": times["start_time"], "start_nanos": times["start_nanos"]}
        changes["duration"] = None
    end = record_builder.moment(body.get("endTime"))
    if end is not None and kind != TRACE:
        changes |= {"end_time": max(0, int(end)), "duration": None}
        start = record_builder.moment(body.get("startTime"))
        if start is not None:
            changes["duration"] = max(0.0, end - start)
    return changes


def _id(body: Body, name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= 512:
        raise RequestRejected(400, f"the body has no {name}, a text of at most 512 characters")
    return value


def _ns(ms: float) -> int:
    return int(max(ms, 0.0) * 1_000) * 1_000


def _trace_attributes(body: Body) -> Body:
    attributes = {_TRACE[name]: body[name] for name in _TRACE if body.get(name) is not None}
    return {"langfuse.observation.type": "span", **attributes}


def _attributes(kind: str, body: Body) -> Body:
    stated = body.get("type")
    own = kind or (stated.lower() if isinstance(stated, str) else "span")
    attributes: Body = {"langfuse.observation.type": own}
    usage = body.get("usage")
    if isinstance(usage, dict):
        costs = {_COSTS[k]: v for k, v in usage.items() if k in _COSTS and v is not None}
        counts = {k: v for k, v in usage.items() if k not in _COSTS and k != "unit"}
        body = {"usageDetails": counts, "costDetails": costs or None, **body}
    for name, attribute in _OBSERVATION.items():
        if body.get(name) is not None:
            attributes[f"langfuse.observation.{attribute}"] = body[name]
    return attributes
