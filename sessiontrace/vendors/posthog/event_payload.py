"""A record as PostHog events: names and properties, nothing about batches.

Pure functions, no thread owns them. Invariant: what ``events_of`` returns is legal for PostHog's
ingestion one by one (a name, a distinct id, a UUID, a text for a time, an object of properties),
because one illegal event would make it refuse a whole batch.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import orjson

from sessiontrace.model import payload
from sessiontrace.model.call_usage import call_cost, call_usage
from sessiontrace.model.fields import PAYLOADS, STEP_ATTRIBUTES
from sessiontrace.model.ids import is_uuid
from sessiontrace.model.record import END, EVENT, UPDATE, Record
from sessiontrace.model.step_types import base_type
from sessiontrace.runtime.version import version
from sessiontrace.vendors.shared.session_cache import SessionCache
from sessiontrace.wire import chat_payload, model_call

__all__ = ["events_of"]

Event = dict[str, Any]

_DAY_MS = 86_400_000
_BESIDE_CONFIG = tuple(name for name in STEP_ATTRIBUTES if name != "config")
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
    "cache_write_5m_tokens": "$ai_cache_creation_5m_input_tokens",
    "cache_write_1h_tokens": "$ai_cache_creation_1h_input_tokens",
    "web_search_requests": "$ai_web_search_count",
    "prompt_audio_tokens": "$ai_audio_input_tokens",
    "prompt_image_tokens": "$ai_image_input_tokens",
    "completion_audio_tokens": "$ai_audio_output_tokens",
    "completion_image_tokens": "$ai_image_output_tokens",
    "http_status": "$ai_http_status",
    "prompt_cost": "$ai_input_cost_usd",
    "completion_cost": "$ai_output_cost_usd",
    "output_cost": "$ai_output_cost_usd",
    "temperature": "$ai_temperature",
    "max_tokens": "$ai_max_tokens",
    "max_completion_tokens": "$ai_max_tokens",
    "max_output_tokens": "$ai_max_tokens",
}

_COUNTS = frozenset(
    name
    for name in _MODEL
    if name.endswith(("_tokens", "_requests")) and not name.startswith("max_")
)
_TEXTS = {  # metadata -> property of every event
    "framework": "$ai_framework",
    "server_address": "$ai_base_url",
    "agent_name": "$ai_agent_name",
    "prompt_name": "$ai_prompt_name",
    "prompt_version": "$ai_prompt_version",
    "service_tier": "$ai_service_tier",
}
_SPAN_TYPES = {  # of PostHog's own SDK; `metadata.span_kind` -> `$ai_span_type`
    "agent": "agent",
    "function": "tool",
    "guardrail": "guardrail",
    "handoff": "handoff",
    "mcp_tools": "mcp_tools",
    "retriever": "retriever",
    "tool": "tool",
    "custom": "custom",
}
_OPERATIONS = {"invoke_agent": "agent", "create_agent": "agent", "retrieval": "retriever"}


def events_of(record: Record, names: SessionCache) -> Iterator[Event]:
    """PostHog's events for a record: none, one, or one for each late score."""
    event = payload.fields(record)
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


def _trace(event: Event, names: SessionCache) -> Event:
    properties: Event = {"$ai_span_name": _name(event), "$ai_trace_name": _name(event)}
    _add_timing(properties, event)
    _add_texts(properties, event)
    _add_state(properties, event)
    _add_rest(properties, event, STEP_ATTRIBUTES)
    return _event("$ai_trace", event, names, properties)


def _span(event: Event, names: SessionCache) -> Event:
    kind = event.get("event_type")
    properties: Event = {
        "$ai_span_id": event["event_id"],
        "$ai_parent_id": event.get("parent_id") or event["session_id"],
        "$ai_span_name": _name(event),
    }
    _add_timing(properties, event)
    _add_texts(properties, event)
    _add_rest(properties, event, _BESIDE_CONFIG)
    if base_type(kind) == "model":
        _add_call(properties, event)
        if model_call.operation(event) == "embeddings":
            _add_embedded(properties, event)
            return _event("$ai_embedding", event, names, properties)
        _add_chat(properties, event)
        return _event("$ai_generation", event, names, properties)
    if kind is not None:
        properties["$ai_span_type"] = _span_type(event, kind)
    _add_state(properties, event)
    _add_rest(properties, event, ("config",))
    return _event("$ai_span", event, names, properties)


def _add_state(properties: Event, event: Event) -> None:
    if (inputs := payload.payload_of(event, "inputs")) is not None:
        properties["$ai_input_state"] = orjson.Fragment(inputs)
    if (outputs := event.get("outputs")) is not None:
        properties["$ai_output_state"] = orjson.Fragment(outputs)


def _add_rest(properties: Event, event: Event, parts: tuple[str, ...]) -> None:
    """Copy the objects for which PostHog has no property, under the record's names."""
    for name in parts:
        if value := event.get(name):
            properties[name] = value


def _add_call(properties: Event, event: Event) -> None:
    """Add what only a model call has: model, parameters, tokens and cost."""
    if config := payload.bucket(event, "config"):
        parameters = payload.bucket(config, "hyperparameters")
        model_properties = (
            ("$ai_model", config.get("model")),
            ("$ai_provider", config.get("provider")),
            ("$ai_model_parameters", parameters or None),
            ("$ai_tools", config.get("tools")),
            ("$ai_stream", parameters.get("stream")),
        )
        properties.update((name, value) for name, value in model_properties if value is not None)
        _add_numbers(properties, parameters)
    if metrics := payload.bucket(event, "metrics"):
        _add_numbers(properties, metrics)
        first = payload.number(metrics.get("time_to_first_chunk_ms"))
        if first is not None:
            properties["$ai_time_to_first_token"] = first / 1000
    if metadata := payload.bucket(event, "metadata"):
        _add_numbers(properties, metadata)
        if reasons := model_call.finish_reasons(event):
            properties["$ai_stop_reason"] = reasons[0]
    _add_usage(properties, event)


def _add_usage(properties: Event, event: Event) -> None:
    """Add the cost, the counts as they are, and how ``$ai_input_tokens`` counts the cache.

    Without the flag PostHog takes the counts of Anthropic's models as exclusive of the cache.
    """
    cost = call_cost(event)
    if cost is not None:
        properties["$ai_total_cost_usd"] = cost
    counts = {
        name: value
        for place in ("metrics", "metadata")
        for name, value in payload.bucket(event, place).items()
        if name in _COUNTS and payload.number(value) is not None
    }
    if counts:
        properties["$ai_usage"] = counts
        properties["$ai_cache_reporting_exclusive"] = call_usage(event).exclusive


def _add_texts(properties: Event, event: Event) -> None:
    metadata = payload.bucket(event, "metadata")
    for name, property_name in _TEXTS.items():
        value = metadata.get(name)
        if isinstance(value, (str, int)) and not isinstance(value, bool) and value != "":
            properties[property_name] = str(value)


def _span_type(event: Event, kind: str) -> str:
    """PostHog's type for a span that is no model call: what the library says, else our type."""
    span_kind = payload.bucket(event, "metadata").get("span_kind")
    if isinstance(span_kind, str) and span_kind.lower() in _SPAN_TYPES:
        return _SPAN_TYPES[span_kind.lower()]
    if kind != base_type(kind):
        return kind  # any text is a type there
    return _OPERATIONS.get(model_call.operation(event) or "", kind)


def _add_numbers(properties: Event, numbers: Event) -> None:
    for name, value in numbers.items():
        if name in _MODEL and payload.number(value) is not None:
            properties[_MODEL[name]] = value


def _add_chat(properties: Event, event: Event) -> None:
    """Add a model's input and output messages, in the bytes that capture encoded."""
    inputs, outputs = payload.payload_of(event, "inputs"), payload.payload_of(event, "outputs")
    question = b"[]" if inputs is None else chat_payload.input_messages(inputs)
    answer = b"[]" if outputs is None else chat_payload.output_messages(outputs)
    properties["$ai_input"] = orjson.Fragment(question)
    properties["$ai_output_choices"] = orjson.Fragment(answer)


def _add_embedded(properties: Event, event: Event) -> None:
    """Add the text that was embedded, without the vectors."""
    encoded = payload.payload_of(event, "inputs")
    if encoded is None or not encoded.startswith(b"{"):
        return
    value: Any = orjson.Fragment(encoded)
    if b'"input":' in encoded:
        value = orjson.loads(encoded).get("input", value)
    if value is not None:
        properties["$ai_input"] = value


def _scores(record: Record, event: Event, names: SessionCache) -> Iterator[Event]:
    """One event for each late score: PostHog never changes an event that it has."""
    about = {} if event["event_id"] == event["session_id"] else {"$ai_span_id": event["event_id"]}
    for name, value in payload.bucket(event, "metrics").items():
        metric = {"$ai_metric_name": name, "$ai_metric_value": _value(value)}
        yield _score("$ai_metric", record, event, names, {**about, **metric}, f"metric {name}")
    for name, value in payload.bucket(event, "feedback").items():
        comment = {"$ai_feedback_text": _value(value), "feedback_name": name}
        yield _score("$ai_feedback", record, event, names, {**about, **comment}, f"feedback {name}")
    changes = {name: event[name] for name in ("config", "metadata", "error") if event.get(name)}
    for name in PAYLOADS:
        if (encoded := payload.payload_of(event, name)) is not None:
            changes[name] = orjson.Fragment(encoded)
    if changes:
        metric = {"$ai_metric_name": "update", "$ai_metric_value": payload.json_text(changes)}
        yield _score("$ai_metric", record, event, names, {**about, **metric}, "update")


def _score(
    kind: str, record: Record, event: Event, names: SessionCache, properties: Event, label: str
) -> Event:
    score = _event(kind, event, names, properties)
    score["uuid"] = payload.stable_uuid(record.body, label)
    return score


def _event(kind: str, event: Event, names: SessionCache, properties: Event) -> Event:
    session_id = event["session_id"]
    user = names.user(event)
    at = names.began(event)
    safe, opened = _session(session_id)
    properties["$ai_trace_id"] = properties["$ai_session_id"] = safe
    properties["$ai_lib"] = properties["$lib"] = "sessiontrace"
    properties["$ai_lib_version"] = _version()
    properties["$geoip_disable"] = True
    properties["$process_person_profile"] = user is not None
    if opened is not None and at is not None and 0 <= at - opened < _DAY_MS:
        properties["$session_id"] = session_id
    if user is not None and (person := payload.bucket(event, "user_properties")):
        properties["$set"] = person
    body: Event = {
        "event": kind,
        "uuid": _uuid(event["event_id"]),
        "distinct_id": (user or session_id).replace("\0", "\ufffd")[:_DISTINCT_MAX],
        "properties": properties,
    }
    if at is not None:  # else PostHog takes the time of its arrival
        body["timestamp"] = payload.rfc3339(at)
    return body


@functools.lru_cache(maxsize=1024)
def _session(identifier: str) -> tuple[str, int | None]:
    """A session's id in the characters that PostHog's AI views take, and when it was made."""
    safe = "".join(char if char in _ID_SAFE else "_" for char in identifier)
    return safe, payload.v7_ms(identifier)


@functools.cache
def _version() -> str:
    return version()


def _uuid(identifier: str) -> str:
    if payload.is_lower_uuid(identifier) or is_uuid(identifier):
        return identifier
    return payload.stable_uuid(identifier.encode())


def _add_timing(properties: Event, event: Event) -> None:
    if (latency := payload.seconds(event)) is not None:
        properties["$ai_latency"] = latency
    error = event.get("error")
    properties["$ai_is_error"] = error is not None
    if error is not None:
        properties["$ai_error"] = payload.text(error)
        failure = payload.bucket(payload.bucket(event, "metadata"), "error")
        if isinstance(failure.get("type"), str):
            properties["$ai_error_type"] = failure["type"]


def _name(event: Event) -> str:
    return payload.text(event.get("event_name") or "unknown")


def _value(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else payload.text(value)
