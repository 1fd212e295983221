"""A record as PostHog events: names and properties, nothing about batches.

Pure functions, no thread owns them. Invariant: what ``events_of`` returns is legal for PostHog's
ingestion one by one (a name, a distinct id, a UUID, a text for a time, an object of properties),
because one illegal event would make it refuse a whole batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sessiontrace import genai
from sessiontrace.ids import is_uuid
from sessiontrace.record import END, EVENT, UPDATE, Record
from sessiontrace.vendors import forms

__all__ = ["events_of"]

Event = dict[str, Any]

_DAY_MS = 86_400_000
_DISTINCT_MAX = 200  # characters; PostHog cuts there, with a warning
_ID_SAFE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_~.@()!':|")

_MODEL = {  # metadata, metrics or hyperparameters -> property
    "prompt_tokens": "$ai_input_tokens",
    "input_tokens": "$ai_input_tokens",
    "completion_tokens": "$ai_output_tokens",
    "output_tokens": "$ai_output_tokens",
    "total_tokens": "$ai_total_tokens",
    "reasoning_tokens": "$ai_reasoning_tokens",
    "cache_read_tokens": "$ai_cache_read_input_tokens",
    "cache_write_tokens": "$ai_cache_creation_input_tokens",
    "http_status": "$ai_http_status",
    "cost": "$ai_total_cost_usd",
    "prompt_cost": "$ai_input_cost_usd",
    "completion_cost": "$ai_output_cost_usd",
    "output_cost": "$ai_output_cost_usd",
    "temperature": "$ai_temperature",
    "max_tokens": "$ai_max_tokens",
    "max_completion_tokens": "$ai_max_tokens",
    "max_output_tokens": "$ai_max_tokens",
}


def events_of(record: Record, names: forms.Named) -> Iterator[Event]:
    """The events that a record becomes: none, one, or one for each late score."""
    event = forms.decode(record)
    if record.kind == EVENT:
        yield _span(event, names)
        return
    if record.kind == UPDATE:
        yield from _scores(record, event, names)
        return
    names.learn(event)
    if record.kind != END:
        return
    if event["event_id"] == event["session_id"]:
        yield _trace(event, names)
    else:
        yield _span(event, names)


def _trace(event: Event, names: forms.Named) -> Event:
    return _event(
        "$ai_trace",
        event,
        names,
        {
            "$ai_span_name": _name(event),
            "$ai_input_state": event.get("inputs") or None,
            "$ai_output_state": event.get("outputs"),
            **_timing(event),
            **_rest(event, ("config", "metadata", "metrics", "feedback")),
        },
    )


def _span(event: Event, names: forms.Named) -> Event:
    own = {
        "$ai_span_id": event["event_id"],
        "$ai_parent_id": event.get("parent_id") or event["session_id"],
        "$ai_span_name": _name(event),
        **_timing(event),
        **_rest(event, ("metadata", "metrics", "feedback")),
    }
    if event.get("event_type") == "model":
        embedding = genai.operation(event) == "embeddings"
        kind = "$ai_embedding" if embedding else "$ai_generation"
        return _event(kind, event, names, {**own, **_model(event, embedding)})
    return _event(
        "$ai_span",
        event,
        names,
        {
            **own,
            "$ai_span_type": event.get("event_type"),
            "$ai_input_state": event.get("inputs") or None,
            "$ai_output_state": event.get("outputs"),
            **_rest(event, ("config",)),
        },
    )


def _model(event: Event, embedding: bool) -> Event:
    config = forms.bucket(event, "config")
    parameters = forms.bucket(config, "hyperparameters")
    found: Event = {
        "$ai_model": config.get("model"),
        "$ai_provider": config.get("provider"),
        "$ai_model_parameters": parameters or None,
        "$ai_tools": config.get("tools"),
        "$ai_stream": parameters.get("stream"),
    }
    for held in (parameters, forms.bucket(event, "metrics"), forms.bucket(event, "metadata")):
        for name, value in held.items():
            if name in _MODEL and forms.number(value) is not None:
                found[_MODEL[name]] = value
    first = forms.number(forms.bucket(event, "metrics").get("time_to_first_chunk_ms"))
    if first is not None:
        found["$ai_time_to_first_token"] = first / 1000
    if reasons := genai.finish_reasons(event):
        found["$ai_stop_reason"] = reasons[0]
    if embedding:
        inputs = forms.bucket(event, "inputs")
        found["$ai_input"] = inputs.get("input", inputs) if inputs else None
    else:
        found["$ai_input"] = genai.messages_of(event)
        found["$ai_output_choices"] = genai.choices_of(event)
    return found


def _scores(record: Record, event: Event, names: forms.Named) -> Iterator[Event]:
    """A late score is an event of its own: PostHog never changes one that it has."""
    about = {} if event["event_id"] == event["session_id"] else {"$ai_span_id": event["event_id"]}
    for name, value in forms.bucket(event, "metrics").items():
        metric = {"$ai_metric_name": name, "$ai_metric_value": _value(value)}
        yield _score("$ai_metric", record, event, names, {**about, **metric}, f"metric {name}")
    for name, value in forms.bucket(event, "feedback").items():
        said = {"$ai_feedback_text": _value(value), "feedback_name": name}
        yield _score("$ai_feedback", record, event, names, {**about, **said}, f"feedback {name}")
    rest = {
        name: event[name]
        for name in ("inputs", "outputs", "config", "metadata", "error")
        if event.get(name)
    }
    if rest:
        told = {"$ai_metric_name": "update", "$ai_metric_value": forms.json_text(rest)}
        yield _score("$ai_metric", record, event, names, {**about, **told}, "update")


def _score(
    kind: str, record: Record, event: Event, names: forms.Named, properties: Event, label: str
) -> Event:
    made = _event(kind, event, names, properties)
    made["uuid"] = forms.stable_uuid(record.body, label)
    return made


def _event(kind: str, event: Event, names: forms.Named, properties: Event) -> Event:
    session_id = event["session_id"]
    user = names.user(event)
    at = names.began(event)
    fixed: Event = {
        "$ai_trace_id": _safe(session_id),
        "$ai_session_id": _safe(session_id),
        "$ai_lib": "sessiontrace",
        "$lib": "sessiontrace",
        "$geoip_disable": True,
        "$process_person_profile": user is not None,
    }
    opened = forms.v7_ms(session_id)
    if opened is not None and at is not None and 0 <= at - opened < _DAY_MS:
        fixed["$session_id"] = session_id
    told = forms.bucket(event, "user_properties")
    if user is not None and told:
        fixed["$set"] = told
    identifier = event["event_id"]
    made: Event = {
        "event": kind,
        "uuid": _uuid(identifier),
        "distinct_id": (user or session_id).replace("\0", "\ufffd")[:_DISTINCT_MAX],
        "properties": {**{k: v for k, v in properties.items() if v is not None}, **fixed},
    }
    if at is not None:  # else PostHog takes the time of its arrival
        made["timestamp"] = forms.rfc3339(at)
    return made


def _uuid(identifier: str) -> str:
    if forms.is_lower_uuid(identifier) or is_uuid(identifier):
        return identifier
    return forms.stable_uuid(identifier.encode())


def _timing(event: Event) -> Event:
    error = event.get("error")
    return {
        "$ai_latency": forms.seconds(event),
        "$ai_is_error": error is not None,
        "$ai_error": None if error is None else forms.text(error),
    }


def _rest(event: Event, parts: tuple[str, ...]) -> Event:
    """What has no property of PostHog's own keeps the record's name."""
    return {name: event.get(name) or None for name in parts}


def _name(event: Event) -> str:
    return forms.text(event.get("event_name") or "unknown")


def _value(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else forms.text(value)


def _safe(identifier: str) -> str:
    """An id in the characters that PostHog's AI views take."""
    if _ID_SAFE.issuperset(identifier):
        return identifier
    return "".join(char if char in _ID_SAFE else "_" for char in identifier)
