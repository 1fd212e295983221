"""Humanloop's logs as records, and records as its logs: fields only, nothing about routes.

Pure functions but for the clock, no thread owns them. Fields that a record has no place for go to
``metadata.humanloop``, so that a log comes back as it was sent. Invariant: a response has every
field that any client from 0.4 to 0.7 requires, and leaves out fields without a value.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from typing import Any

import orjson

from sessiontrace.model.ids import is_uuid
from sessiontrace.model.json_depth import encode
from sessiontrace.model.record import END, EVENT, Record
from sessiontrace.model.step_types import SPAN_TYPES, base_type
from sessiontrace.server import record_builder
from sessiontrace.server.record_builder import number

__all__ = [
    "changes_of",
    "config_of",
    "event_id_for",
    "fields_of",
    "log_response",
    "output_of",
    "outputs_of",
    "prefixed",
    "record_of",
    "short_hash",
    "unprefixed",
]

Body = dict[str, Any]

_PLACED = frozenset(
    {
        "inputs", "output", "metadata", "error", "duration", "created_at", "output_message",
        "messages", "feedback", "session_id", "session_reference_id", "parent_id", "reference_id",
        "parent_reference_id", "project", "project_id", "config", "provider_api_keys", "children",
        "prompt_tokens", "output_tokens", "prompt_cost", "output_cost", "start_time", "end_time",
        "provider_latency", "log_id", "trace_parent_id", "path", "id", "prompt", "tool", "flow",
        "log_status", "trace_status",
    }
)  # fmt: skip
_PARAMETERS = (
    "temperature", "top_p", "max_tokens", "presence_penalty", "frequency_penalty", "stop", "seed",
    "response_format", "reasoning_effort",
)  # fmt: skip
_MODEL_CONFIG = frozenset(
    {
        "other", "type", "name", "description", "provider", "model", "max_tokens", "temperature",
        "top_p", "stop", "presence_penalty", "frequency_penalty", "seed", "response_format",
        "prompt_template", "chat_template", "endpoint",
    }
)  # fmt: skip


# -- ids ------------------------------------------------------------------------------------


def prefixed(prefix: str, identifier: str) -> str:
    """A record's id as one of Humanloop's: ``data_`` and 32 hex digits."""
    return prefix + (identifier.replace("-", "") if is_uuid(identifier) else identifier)


def unprefixed(prefix: str, value: Any) -> str | None:
    """The record's id in one of Humanloop's; None for a value without the prefix."""
    if not isinstance(value, str) or not value.startswith(prefix):
        return None
    identifier = value[len(prefix) :]
    if len(identifier) == 32:
        try:
            return str(uuid.UUID(identifier))
        except ValueError:
            return identifier
    return identifier or None


def event_id_for(reference: Any) -> str:
    """The event id for a caller's own reference; a new one without a reference."""
    if not isinstance(reference, str) or not reference:
        return str(uuid.uuid4())
    return (
        reference.lower()
        if is_uuid(reference)
        else record_builder.own_id("humanloop.log", reference)
    )


def short_hash(value: Any) -> str:
    """16 hex digits that identify a value."""
    packed = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(packed, digest_size=8).hexdigest()


# -- in -------------------------------------------------------------------------------------


def record_of(fields: Body, *, session_id: str, parent_id: str | None) -> Record:
    """The record of a log's fields; a log with the session's id is the session itself."""
    if fields["event_id"] == session_id:
        return record_builder.build_record(
            END, {**fields, "session_id": session_id, "event_type": "session"}
        )
    if fields["event_type"] == "session":
        fields = {**fields, "event_type": "chain"}
    parent = parent_id or session_id
    return record_builder.build_record(
        EVENT, {**fields, "session_id": session_id, "parent_id": parent}
    )


def fields_of(log: Body, event_id: str, extra: Body) -> Body:
    """A log's fields as a record's; ``extra`` goes to ``metadata.humanloop``."""
    config = log.get("config")
    kind = _type_of(log, config)
    metadata = _object(log, "metadata")
    raw = {k: v for k, v in log.items() if k not in _PLACED and v is not None} | extra
    fields: Body = {
        "event_id": event_id,
        "event_type": kind,
        "event_name": _name_of(log, config, metadata, extra),
        "source": log.get("source") if isinstance(log.get("source"), str) else "humanloop",
        "inputs": _object(log, "inputs"),
        "config": {**config_of(config, kind), **_object(metadata, "config")} or None,
        "user_properties": _object(metadata, "user_properties") or None,
        "error": None if log.get("error") is None else str(log["error"]),
        **_times(log),
    }
    messages = log.get("messages")
    if isinstance(messages, list) and messages:
        fields["inputs"] = {**fields["inputs"], "chat_history": messages}
        raw["chat"] = True
    message = log.get("output_message")
    if isinstance(message, dict):
        fields["outputs"] = {"role": "assistant", **message}
        raw["said"] = True
        if isinstance(log.get("output"), str) and log["output"] != message.get("content"):
            raw["output"] = log["output"]
    elif log.get("output") is not None:
        fields["outputs"] = outputs_of(log["output"], kind)
    if isinstance(config, dict):
        raw["config"] = config
    own = ("event_type", "event_name", "config", "user_properties")
    others = {name: value for name, value in metadata.items() if name not in own}
    fields["metadata"] = {**others, **_counts(log), "humanloop": {"metadata": metadata, **raw}}
    return fields


def outputs_of(output: Any, kind: str) -> Body:
    """An output's text as a record's outputs."""
    if base_type(kind) == "model":
        return {"role": "assistant", "content": output}
    if isinstance(output, str) and output[:1] == "{":
        try:
            outputs = orjson.loads(output)
        except orjson.JSONDecodeError:
            outputs = None
        # Decode only a text that encoding gives back unchanged.
        if isinstance(outputs, dict) and orjson.dumps(outputs).decode() == output:
            return outputs
    return {"result": output}


def changes_of(log: Body, record: Mapping[str, Any]) -> Body:
    """The changes that an update of a log makes to its record."""
    changes: Body = {}
    if log.get("output") is not None:
        changes["outputs"] = outputs_of(log["output"], str(record.get("event_type")))
        raw = _object(_object(record, "metadata"), "humanloop")
        if "output" in raw or "said" in raw:
            dropped = {k: v for k, v in raw.items() if k not in ("output", "said")}
            changes["metadata"] = {"humanloop": dropped}
    if isinstance(log.get("output_message"), dict):
        changes["outputs"] = {"role": "assistant", **log["output_message"]}
    if isinstance(log.get("inputs"), dict):
        changes["inputs"] = log["inputs"]
    if log.get("error") is not None:
        changes["error"] = str(log["error"])
    duration = number(log.get("duration"))
    start = number(record.get("start_time"))
    if duration is not None and start is not None:
        changes |= record_builder.whole_times(start, None, duration * 1000, 0)
    return changes


def _type_of(log: Body, config: Any) -> str:
    event_type = _object(log, "metadata").get("event_type")
    if isinstance(event_type, str) and event_type in SPAN_TYPES:
        return event_type
    kind = config.get("type") if isinstance(config, dict) else None
    if kind == "tool":
        return "tool"
    # A model's config need not name its type.
    model = kind == "model" or (kind is None and isinstance(config, dict) and "model" in config)
    return "model" if model else "chain"


def _name_of(log: Body, config: Any, metadata: Body, extra: Body) -> str:
    for name in (
        metadata.get("event_name"),
        config.get("name") if isinstance(config, dict) else None,
        extra.get("project_name"),
        log.get("path"),
    ):
        if isinstance(name, str) and name:
            return name
    return "unknown"


def config_of(config: Any, kind: str) -> Body:
    """A config of Humanloop's as a record's."""
    if not isinstance(config, dict):
        return {}
    if base_type(kind) != "model":
        return {k: v for k, v in config.items() if k not in ("type", "name") and v is not None}
    parameters = {n: config[n] for n in _PARAMETERS if config.get(n) is not None}
    names = ("model", "provider", "endpoint", "tools")
    settings = {n: config[n] for n in names if config.get(n) is not None}
    template = config.get("chat_template") or config.get("prompt_template")
    if template or config.get("template"):
        settings["template"] = template or config["template"]
    return settings | ({"hyperparameters": parameters} if parameters else {})


def _times(log: Body) -> Body:
    duration = number(log.get("duration"))
    if duration is None:
        duration = number(log.get("provider_latency"))
    start, end = (
        record_builder.moment(log.get("start_time")),
        record_builder.moment(log.get("end_time")),
    )
    if start is None:
        start = record_builder.moment(log.get("created_at"))
    return record_builder.whole_times(
        start, end, None if duration is None else max(0.0, duration * 1000), record_builder.now_ms()
    )


def _counts(log: Body) -> Body:
    counts: Body = {}
    names = {"prompt_tokens": "prompt_tokens", "output_tokens": "completion_tokens",
             "prompt_cost": "prompt_cost", "output_cost": "completion_cost"}  # fmt: skip
    for name, field in names.items():
        if number(log.get(name)) is not None:
            counts[field] = log[name]
    costs = [counts[name] for name in ("prompt_cost", "completion_cost") if name in counts]
    return counts | ({"cost": sum(costs)} if costs else {})


def _object(parent: Mapping[str, Any], name: str) -> Body:
    value = parent.get(name)
    return value if isinstance(value, dict) else {}


# -- out ------------------------------------------------------------------------------------


def log_response(record: Mapping[str, Any], feedback: list[Body], prefix: str = "data_") -> Body:
    """A record as a LogResponse."""
    metadata = _object(record, "metadata")
    raw = _object(metadata, "humanloop")
    start = number(record.get("start_time")) or 0
    end = number(record.get("end_time"))
    response: Body = {k: raw[k] for k in raw if k not in _OWN} | {
        "id": prefixed(prefix, record["event_id"]),
        "reference_id": raw.get("reference_id"),
        "project": raw.get("project_name"),
        "project_id": raw.get("project_id"),
        "session_id": prefixed("sesh_", record["session_id"]) if raw.get("in_session") else None,
        "session_reference_id": raw.get("session_reference_id"),
        "parent_id": _parent(record, prefix),
        "parent_reference_id": raw.get("parent_reference_id"),
        "inputs": _inputs(record, raw),
        "messages": _object(record, "inputs").get("chat_history") if raw.get("chat") else None,
        "output": output_of(record),
        "output_message": record.get("outputs") if raw.get("said") else None,
        "error": record.get("error"),
        "duration": None if record.get("duration") is None else record["duration"] / 1000,
        "created_at": record_builder.iso(start),
        "updated_at": record_builder.iso(end if end is not None else start),
        "metadata": raw.get("metadata", {k: v for k, v in metadata.items() if k != "humanloop"}),
        "config": _config(record, raw),
        "feedback": feedback,
        "evaluation_results": [],
        "observability_status": "completed",
        "prompt_tokens": metadata.get("prompt_tokens"),
        "output_tokens": metadata.get("completion_tokens"),
        "prompt_cost": metadata.get("prompt_cost"),
        "output_cost": metadata.get("completion_cost"),
    }
    return {name: value for name, value in response.items() if value is not None}


_OWN = frozenset({"chat", "said", "project_name", "in_session", "config", "output", "metadata"})


def _parent(record: Mapping[str, Any], prefix: str) -> str | None:
    parent = record.get("parent_id")
    if not isinstance(parent, str) or parent == record["session_id"]:
        return None
    return prefixed(prefix, parent)


def _inputs(record: Mapping[str, Any], raw: Body) -> Body:
    inputs = _object(record, "inputs")
    if not raw.get("chat"):
        return inputs
    return {name: value for name, value in inputs.items() if name != "chat_history"}


def output_of(record: Mapping[str, Any]) -> str | None:
    """The outputs as the one text that a log has."""
    raw = _object(_object(record, "metadata"), "humanloop")
    if isinstance(raw.get("output"), str):
        return str(raw["output"])
    outputs = record.get("outputs")
    if outputs is None:
        return None
    if isinstance(outputs, dict):
        for name, plain in (("result", {"result"}), ("content", outputs.keys() & _MESSAGE)):
            if name in outputs and outputs.keys() == plain:
                value = outputs[name]
                return value if isinstance(value, str) else encode(value).decode()
    return encode(outputs).decode()


_MESSAGE = frozenset({"role", "content", "name", "tool_calls", "tool_call_id", "tool_call"})


def _config(record: Mapping[str, Any], raw: Body) -> Body:
    own = _object(raw, "config")
    config = own or {"type": "generic"}
    kind = config.get("type") or ("model" if "model" in config else "generic")
    response: Body = {"id": f"config_{short_hash(config)}", "type": kind}
    if kind == "model":
        response |= {k: v for k, v in config.items() if k in _MODEL_CONFIG and v is not None}
        return {"model": "unknown", **response}
    name = str(config.get("name") or record.get("event_name") or "unknown")
    response |= {k: v for k, v in config.items() if v is not None and k != "preset_name"}
    response |= {"status": "committed", "name": name, "type": kind}
    if kind == "agent":
        response.setdefault("agent_class", "unknown")
        response.setdefault("model_config", {"model": "unknown"})
    return response
