"""PostHog's events as records.

Pure functions but for the clock, no thread owns them. ``$ai_trace``, ``$ai_span``,
``$ai_generation`` and ``$ai_embedding`` become a session and its steps, ``$ai_metric`` and
``$ai_feedback`` late scores of them; every other event is a step of the session that
``$session_id`` names, or else of its person's session. Invariant: ids follow from PostHog's, so
that an event received twice is one event.
"""

from __future__ import annotations

import re
from typing import Any

import attrs

from sessiontrace.model.fields import STEP_ATTRIBUTES
from sessiontrace.model.ids import is_uuid
from sessiontrace.model.json_depth import is_too_deep
from sessiontrace.model.record import END, EVENT, Record
from sessiontrace.model.step_types import base_type, step_type
from sessiontrace.server import record_builder
from sessiontrace.server.http import RequestRejected
from sessiontrace.server.record_builder import number

__all__ = ["Converted", "convert"]

Body = dict[str, Any]

_NUMBER = re.compile(r"-?\d{1,15}(\.\d{1,17})?")
_MODEL = {
    "$ai_input_tokens": "prompt_tokens",
    "$ai_output_tokens": "completion_tokens",
    "$ai_total_tokens": "total_tokens",
    "$ai_reasoning_tokens": "reasoning_tokens",
    "$ai_cache_read_input_tokens": "cache_read_tokens",
    "$ai_cache_creation_input_tokens": "cache_write_tokens",
    "$ai_cache_creation_5m_input_tokens": "cache_write_5m_tokens",
    "$ai_cache_creation_1h_input_tokens": "cache_write_1h_tokens",
    "$ai_web_search_count": "web_search_requests",
    "$ai_audio_input_tokens": "prompt_audio_tokens",
    "$ai_image_input_tokens": "prompt_image_tokens",
    "$ai_audio_output_tokens": "completion_audio_tokens",
    "$ai_image_output_tokens": "completion_image_tokens",
    "$ai_http_status": "http_status",
    "$ai_total_cost_usd": "cost",
    "$ai_input_cost_usd": "prompt_cost",
    "$ai_output_cost_usd": "completion_cost",
    "$ai_stop_reason": "finish_reason",
    "$ai_framework": "framework",
    "$ai_base_url": "server_address",
    "$ai_agent_name": "agent_name",
    "$ai_prompt_name": "prompt_name",
    "$ai_prompt_version": "prompt_version",
    "$ai_service_tier": "service_tier",
}
_USED = frozenset(
    {
        *_MODEL,
        "$ai_trace_id", "$ai_session_id", "$ai_span_id", "$ai_span_name", "$ai_parent_id",
        "$ai_latency", "$ai_is_error", "$ai_error", "$ai_input_state", "$ai_output_state",
        "$ai_input", "$ai_output_choices", "$ai_model", "$ai_provider", "$ai_model_parameters",
        "$ai_tools", "$ai_span_type", "$session_id", "$set", "$set_once", "config", "metadata",
        "metrics", "feedback", "$geoip_disable", "$process_person_profile", "$ai_lib", "$lib",
        "$ai_temperature", "$ai_max_tokens", "$ai_stream", "$ai_request_id",
        "$ai_time_to_first_token", "$ai_error_type", "$ai_cache_reporting_exclusive",
    }
)  # fmt: skip
# What our own exporter says twice; of other clients it is kept.
_REPEATED = frozenset({"$ai_lib_version", "$ai_usage", "$ai_trace_name"})
_CACHE = ("read", "creation")
_TOOLS = frozenset({"function", "mcp_tools"})
_AI = {"$ai_span": "chain", "$ai_generation": "model", "$ai_embedding": "embedding"}


@attrs.frozen
class Converted:
    """Records to write, and by id the sessions to create where the store has none yet.

    ``too_deep``: the indices of events that no response could write back; they have no record.
    """

    records: list[Record]
    sessions: dict[str, Record]
    too_deep: list[int]


def convert(events: list[Any], skew_ms: float) -> Converted:
    """The records of one request's events; one malformed event rejects the whole request.

    An event that is too deep does not: clients drop a rejected request with all its events.
    """
    if not events:
        raise RequestRejected(400, "request holds no event")
    records: list[Record] = []
    sessions: dict[str, Record] = {}
    too_deep: list[int] = []
    for at, body in enumerate(events):
        if is_too_deep(body):
            too_deep.append(at)
            continue
        event = _checked(body, skew_ms)
        record = _record(event)
        records.append(record)
        if event.session_id not in sessions and not event.is_session:
            sessions[event.session_id] = _session(event)
    return Converted(records, sessions, too_deep)


@attrs.frozen
class _Event:
    name: str
    distinct_id: str
    uuid: str | None
    at: float
    properties: Body
    person: Body
    session_id: str
    original: Body
    is_session: bool


def _checked(body: Any, skew_ms: float) -> _Event:
    if not isinstance(body, dict):
        raise RequestRejected(
            400, "failed to hydrate events from request: an event must be an object"
        )
    name = body.get("event")
    if not isinstance(name, str) or not name:
        raise RequestRejected(400, "event submitted with an empty event name")
    properties = body.get("properties")
    properties = properties if isinstance(properties, dict) else {}
    person = body.get("distinct_id", body.get("$distinct_id", properties.get("distinct_id")))
    if person is None or person == "":
        raise RequestRejected(400, "event submitted without a distinct_id")
    uuid = body.get("uuid") or None
    if uuid is not None and not (isinstance(uuid, str) and is_uuid(uuid)):
        raise RequestRejected(400, "failed to parse request: UUID parsing failed")
    at = record_builder.moment(body.get("timestamp"))
    now = record_builder.now_ms()
    at = now if at is None else at + (0.0 if properties.get("$ignore_sent_at") else skew_ms)
    offset = number(body.get("offset"))
    if offset is not None and body.get("timestamp") is None:
        at = now - offset
    distinct_id = str(person)[:200]
    session_id, original = _session_of(properties, body.get("session_id"), distinct_id)
    trace = properties.get("$ai_trace_id")
    whole = name == "$ai_trace" and record_builder.session_id_for(str(trace))[0] == session_id
    person_fields: Body = {}
    for key in ("$set_once", "$set"):
        for parent in (body, properties):
            values = parent.get(key)
            person_fields |= values if isinstance(values, dict) else {}
    return _Event(
        name, distinct_id, uuid, at, properties, person_fields, session_id, original, whole
    )


def _session_of(properties: Body, top_level: Any, distinct_id: str) -> tuple[str, Body]:
    for reference in (
        properties.get("$ai_session_id"),
        properties.get("$ai_trace_id"),
        properties.get("$session_id"),
        top_level,
    ):
        if (
            isinstance(reference, (str, int))
            and not isinstance(reference, bool)
            and reference != ""
        ):
            return record_builder.session_id_for(str(reference))
    return record_builder.own_id("posthog.person", distinct_id), {"distinct_id": distinct_id}


def _session(event: _Event) -> Record:
    name = event.properties.get("$ai_trace_name")
    entry = {k: v for k, v in event.properties.items() if k.startswith("$entry_")}
    return record_builder.session(
        event.session_id,
        int(event.at),
        event_name=str(name) if name else event.distinct_id,
        source=_source(event),
        metadata=event.original or None,
        user_properties={**entry, **event.person, "user_id": event.distinct_id},
    )


def _source(event: _Event) -> str:
    for name in ("$ai_lib", "$lib"):
        library = event.properties.get(name)
        if isinstance(library, str) and library:
            return library
    return "posthog"


def _record(event: _Event) -> Record:
    if event.name in ("$ai_metric", "$ai_feedback"):
        return _score(event)
    properties = event.properties
    session_id = event.session_id
    trace = str(properties.get("$ai_trace_id") or "")
    if event.name == "$ai_trace":
        event_id = session_id if event.is_session else _span_id(trace, trace)
    elif event.name in _AI and properties.get("$ai_span_id"):
        event_id = _span_id(trace, str(properties["$ai_span_id"]))
    else:
        event_id = event.uuid or record_builder.own_id(
            "posthog.event", event.distinct_id, event.name, str(event.at), str(properties)
        )
    fields: Body = {
        "event_id": event_id,
        "session_id": session_id,
        "parent_id": None if event.is_session else _parent(event, trace),
        "event_type": "session" if event.is_session else _type(event),
        "event_name": str(properties.get("$ai_span_name") or event.name),
        "source": _source(event),
        "error": _error(properties),
        **_times(event),
        **_content(event),
    }
    if event.is_session:
        fields["user_properties"] = {**event.person, "user_id": event.distinct_id}
    return record_builder.build_record(END if event.is_session else EVENT, fields)


def _span_id(trace: str, span: str) -> str:
    return span.lower() if is_uuid(span) else record_builder.own_id("posthog.span", trace, span)


def _parent(event: _Event, trace: str) -> str:
    parent = event.properties.get("$ai_parent_id")
    if event.name == "$ai_trace" or parent in (None, ""):
        if (
            trace
            and event.name in _AI
            and record_builder.session_id_for(trace)[0] != event.session_id
        ):
            return _span_id(trace, trace)
        return event.session_id
    if str(parent) == trace and record_builder.session_id_for(trace)[0] == event.session_id:
        return event.session_id
    return _span_id(trace, str(parent))


def _type(event: _Event) -> str:
    kind = _AI.get(event.name, "chain")
    span_type = event.properties.get("$ai_span_type")
    if kind != "chain" or not isinstance(span_type, str):
        return kind
    metadata = event.properties.get("metadata")
    if isinstance(metadata, dict) and isinstance(metadata.get("span_kind"), str):
        # Our own exporter's: the type is what the metadata say, and not the step's.
        return "tool" if span_type in _TOOLS else base_type(step_type(span_type) or kind)
    return "tool" if span_type in _TOOLS else step_type(span_type) or kind


def _times(event: _Event) -> Body:
    seconds = number(event.properties.get("$ai_latency"))
    if seconds is None:
        # A plain event is a moment; a session's end comes with its last event.
        seconds = None if event.is_session else 0.0
    end = None if seconds is None else event.at + max(0.0, seconds) * 1000
    return record_builder.whole_times(
        event.at, end, None if seconds is None else max(0.0, seconds) * 1000, 0
    )


def _error(properties: Body) -> str | None:
    error = properties.get("$ai_error")
    if isinstance(error, dict):
        error = error.get("message") or str(error)
    if properties.get("$ai_is_error") is True or (error and "$ai_is_error" not in properties):
        return str(error or "error")
    return None


def _content(event: _Event) -> Body:
    properties = event.properties
    if event.name not in _AI and event.name != "$ai_trace":
        values = {k: v for k, v in properties.items() if k not in ("$set", "$set_once")}
        return {"inputs": values}
    metadata = {field: properties[name] for name, field in _MODEL.items() if name in properties}
    if event.name in ("$ai_generation", "$ai_embedding"):
        metadata |= _whole_prompt(properties)
    span_type = properties.get("$ai_span_type")
    if isinstance(span_type, str) and step_type(span_type) is None:
        metadata["span_kind"] = span_type
    if isinstance(properties.get("$ai_error_type"), str):
        metadata["error"] = {"type": properties["$ai_error_type"]}
    used = _USED | _REPEATED if properties.get("$ai_lib") == "sessiontrace" else _USED
    others = {k: v for k, v in properties.items() if k not in used and v is not None}
    fields: Body = {"inputs": {}, "metadata": {**others, **metadata}}
    for name in STEP_ATTRIBUTES:  # as our own exporter sends them
        if isinstance(properties.get(name), dict):
            fields[name] = {**fields.get(name, {}), **properties[name]}
    first = number(properties.get("$ai_time_to_first_token"))
    if first is not None:
        fields["metrics"] = {"time_to_first_chunk_ms": first * 1000, **fields.get("metrics", {})}
    if event.name in ("$ai_generation", "$ai_embedding"):
        fields |= _call(event, fields.get("config", {}))
    else:
        state, result = properties.get("$ai_input_state"), properties.get("$ai_output_state")
        fields["inputs"] = state if isinstance(state, dict) else _object("input", state)
        fields["outputs"] = (
            result if isinstance(result, dict) else _object("result", result) or None
        )
    return {name: value for name, value in fields.items() if value is not None}


def _whole_prompt(properties: Body) -> Body:
    """The input tokens with those read from and written to the cache, as our records count them.

    PostHog's rule (its ingestion, November 2026): the event says whether they are left out; else
    they are for Anthropic's models, except through Vercel's gateway.
    """
    prompt, total = (number(properties.get(f"$ai_{name}_tokens")) for name in ("input", "total"))
    cache = (number(properties.get(f"$ai_cache_{name}_input_tokens")) or 0 for name in _CACHE)
    cached = sum(cache)
    if prompt is None or not cached or not _is_exclusive(properties, prompt < cached):
        return {}
    counts: Body = {"prompt_tokens": int(prompt + cached)}
    if total is not None and total == prompt + (number(properties.get("$ai_output_tokens")) or 0):
        counts["total_tokens"] = int(total + cached)
    return counts


def _is_exclusive(properties: Body, smaller: bool) -> bool:
    explicit = properties.get("$ai_cache_reporting_exclusive")
    if isinstance(explicit, bool):
        return explicit
    provider, model, framework = (
        str(properties.get(f"$ai_{name}") or "").lower()
        for name in ("provider", "model", "framework")
    )
    if provider != "anthropic" and "anthropic" not in model and not model.startswith("claude"):
        return False
    return smaller or (provider, framework) != ("gateway", "vercel")


def _call(event: _Event, config: Body) -> Body:
    properties = event.properties
    parameters = properties.get("$ai_model_parameters")
    settings = {
        "model": properties.get("$ai_model"),
        "provider": properties.get("$ai_provider"),
        "tools": properties.get("$ai_tools"),
        "hyperparameters": {
            **(parameters if isinstance(parameters, dict) else {}),
            **{k[4:]: properties[k] for k in ("$ai_temperature", "$ai_max_tokens", "$ai_stream")
               if k in properties},
        },
        "type": "embedding" if event.name == "$ai_embedding" else None,
    }  # fmt: skip
    chat, choices = properties.get("$ai_input"), properties.get("$ai_output_choices")
    messages = isinstance(chat, list) and all(
        isinstance(message, dict) and "role" in message for message in chat
    )
    outputs: Any = None
    if isinstance(choices, list) and choices:
        outputs = choices[0] if len(choices) == 1 else {"choices": choices}
    elif choices:
        outputs = choices
    return {
        "config": {**{k: v for k, v in settings.items() if v}, **config},
        "inputs": {"chat_history": chat} if messages and chat else _object("input", chat),
        "outputs": outputs if isinstance(outputs, dict) or outputs is None else {"result": outputs},
    }


def _object(name: str, value: Any) -> Body:
    return {} if value is None else {name: value}


def _metric(value: Any) -> Any:
    """The number in a metric's text, as which PostHog's clients send every value."""
    match = _NUMBER.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return value
    return float(value) if match[1] else int(value)


def _score(event: _Event) -> Record:
    """A metric or feedback as a patch of the span it names, or else of its session."""
    properties = event.properties
    trace = str(properties.get("$ai_trace_id") or "")
    span = properties.get("$ai_span_id") or properties.get("$ai_parent_id")
    target = event.session_id
    if span:
        target = _span_id(trace, str(span))
    elif trace and record_builder.session_id_for(trace)[0] != event.session_id:
        target = _span_id(trace, trace)
    if event.name == "$ai_metric":
        name = str(properties.get("$ai_metric_name") or "metric")
        changes = {"metrics": {name: _metric(properties.get("$ai_metric_value"))}}
    else:
        name = str(properties.get("feedback_name") or "feedback")
        changes = {"feedback": {name: properties.get("$ai_feedback_text")}}
    return record_builder.patch(target, event.session_id, changes)
