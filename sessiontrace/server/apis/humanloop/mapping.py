"""Humanloop's logs as records, and records as its logs: fields only, nothing about routes.

Pure functions but for the clock. What a record has no place for is kept in ``metadata.humanloop``,
so that a log comes back as it was sent. Invariant: an answer holds everything that any client from
0.4 to 0.7 requires, and leaves out what has no value.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from typing import Any

import orjson

from sessiontrace.model.ids import is_uuid
from sessiontrace.model.record import END, EVENT, Record
from sessiontrace.server import record_builder
from sessiontrace.server.record_builder import number

__all__ = [
    "config_of",
    "event_id_for",
    "fields_of",
    "log",
    "output_of",
    "prefixed",
    "record_of",
    "said",
    "short_hash",
    "unprefixed",
    "updated",
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
_TYPES = frozenset({"model", "tool", "chain", "session"})


# -- ids ------------------------------------------------------------------------------------


def prefixed(prefix: str, identifier: str) -> str:
    """A record's id as one of Humanloop's: ``data_`` and 32 hex digits."""
    return prefix + (identifier.replace("-", "") if is_uuid(identifier) else identifier)


def unprefixed(prefix: str, given: Any) -> str | None:
    """The record's id in one of Humanloop's; None for what is none."""
    if not isinstance(given, str) or not given.startswith(prefix):
        return None
    rest = given[len(prefix) :]
    if len(rest) == 32:
        try:
            return str(uuid.UUID(rest))
        except ValueError:
            return rest
    return rest or None


def event_id_for(reference: Any) -> str:
    """The event id that a caller's own reference stands for; a new one without a reference."""
    if not isinstance(reference, str) or not reference:
        return str(uuid.uuid4())
    return (
        reference.lower()
        if is_uuid(reference)
        else record_builder.own_id("humanloop.log", reference)
    )


def short_hash(value: Any) -> str:
    """16 hex digits that stand for a value."""
    packed = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(packed, digest_size=8).hexdigest()


# -- in -------------------------------------------------------------------------------------


def record_of(fields: Body, *, session_id: str, parent_id: str | None) -> Record:
    """The record of a log's fields; one whose id is the session's is the session itself."""
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


def fields_of(given: Body, event_id: str, kept: Body) -> Body:
    """A log's fields as a record's; ``kept`` goes to ``metadata.humanloop``."""
    config = given.get("config")
    kind = _type_of(given, config)
    metadata = _object(given, "metadata")
    raw = {k: v for k, v in given.items() if k not in _PLACED and v is not None} | kept
    fields: Body = {
        "event_id": event_id,
        "event_type": kind,
        "event_name": _name_of(given, config, metadata, kept),
        "source": given.get("source") if isinstance(given.get("source"), str) else "humanloop",
        "inputs": _object(given, "inputs"),
        "config": {**config_of(config, kind), **_object(metadata, "config")} or None,
        "user_properties": _object(metadata, "user_properties") or None,
        "error": None if given.get("error") is None else str(given["error"]),
        **_times(given),
    }
    messages = given.get("messages")
    if isinstance(messages, list) and messages:
        fields["inputs"] = {**fields["inputs"], "chat_history": messages}
        raw["chat"] = True
    message = given.get("output_message")
    if isinstance(message, dict):
        fields["outputs"] = {"role": "assistant", **message}
        raw["said"] = True
        if isinstance(given.get("output"), str) and given["output"] != message.get("content"):
            raw["output"] = given["output"]
    elif given.get("output") is not None:
        fields["outputs"] = said(given["output"], kind)
    if isinstance(config, dict):
        raw["config"] = config
    own = ("event_type", "event_name", "config", "user_properties")
    rest = {name: value for name, value in metadata.items() if name not in own}
    fields["metadata"] = {**rest, **_counts(given), "humanloop": {"metadata": metadata, **raw}}
    return fields


def said(output: Any, kind: str) -> Body:
    """An output's text as a record's outputs."""
    if kind == "model":
        return {"role": "assistant", "content": output}
    if isinstance(output, str) and output[:1] == "{":
        try:
            found = orjson.loads(output)
        except orjson.JSONDecodeError:
            found = None
        # Only where it comes back as the very same text.
        if isinstance(found, dict) and orjson.dumps(found).decode() == output:
            return found
    return {"result": output}


def updated(given: Body, known: Mapping[str, Any]) -> Body:
    """What an update of a log changes in its record."""
    changes: Body = {}
    if given.get("output") is not None:
        changes["outputs"] = said(given["output"], str(known.get("event_type")))
        raw = _object(_object(known, "metadata"), "humanloop")
        if "output" in raw or "said" in raw:
            dropped = {k: v for k, v in raw.items() if k not in ("output", "said")}
            changes["metadata"] = {"humanloop": dropped}
    if isinstance(given.get("output_message"), dict):
        changes["outputs"] = {"role": "assistant", **given["output_message"]}
    if isinstance(given.get("inputs"), dict):
        changes["inputs"] = given["inputs"]
    if given.get("error") is not None:
        changes["error"] = str(given["error"])
    took = number(given.get("duration"))
    start = number(known.get("start_time"))
    if took is not None and start is not None:
        changes |= record_builder.whole_times(start, None, took * 1000, 0)
    return changes


def _type_of(given: Body, config: Any) -> str:
    told = _object(given, "metadata").get("event_type")
    if told in _TYPES:
        return str(told)
    kind = config.get("type") if isinstance(config, dict) else None
    if kind == "tool":
        return "tool"
    # A model's config need not name its type.
    model = kind == "model" or (kind is None and isinstance(config, dict) and "model" in config)
    return "model" if model else "chain"


def _name_of(given: Body, config: Any, metadata: Body, kept: Body) -> str:
    for found in (
        metadata.get("event_name"),
        config.get("name") if isinstance(config, dict) else None,
        kept.get("project_name"),
        given.get("path"),
    ):
        if isinstance(found, str) and found:
            return found
    return "unknown"


def config_of(config: Any, kind: str) -> Body:
    """A config of Humanloop's as a record's."""
    if not isinstance(config, dict):
        return {}
    if kind != "model":
        return {k: v for k, v in config.items() if k not in ("type", "name") and v is not None}
    parameters = {n: config[n] for n in _PARAMETERS if config.get(n) is not None}
    names = ("model", "provider", "endpoint", "tools")
    found = {n: config[n] for n in names if config.get(n) is not None}
    template = config.get("chat_template") or config.get("prompt_template")
    if template or config.get("template"):
        found["template"] = template or config["template"]
    return found | ({"hyperparameters": parameters} if parameters else {})


def _times(given: Body) -> Body:
    took = number(given.get("duration"))
    if took is None:
        took = number(given.get("provider_latency"))
    start, end = (
        record_builder.moment(given.get("start_time")),
        record_builder.moment(given.get("end_time")),
    )
    if start is None:
        start = record_builder.moment(given.get("created_at"))
    return record_builder.whole_times(
        start, end, None if took is None else max(0.0, took * 1000), record_builder.now_ms()
    )


def _counts(given: Body) -> Body:
    found: Body = {}
    names = {"prompt_tokens": "prompt_tokens", "output_tokens": "completion_tokens",
             "prompt_cost": "prompt_cost", "output_cost": "completion_cost"}  # fmt: skip
    for name, ours in names.items():
        if number(given.get(name)) is not None:
            found[ours] = given[name]
    costs = [found[name] for name in ("prompt_cost", "completion_cost") if name in found]
    return found | ({"cost": sum(costs)} if costs else {})


def _object(held: Mapping[str, Any], name: str) -> Body:
    found = held.get(name)
    return found if isinstance(found, dict) else {}


# -- out ------------------------------------------------------------------------------------


def log(record: Mapping[str, Any], feedback: list[Body], prefix: str = "data_") -> Body:
    """A record as a LogResponse."""
    metadata = _object(record, "metadata")
    raw = _object(metadata, "humanloop")
    start = number(record.get("start_time")) or 0
    end = number(record.get("end_time"))
    found: Body = {k: raw[k] for k in raw if k not in _OWN} | {
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
    return {name: value for name, value in found.items() if value is not None}


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
                return value if isinstance(value, str) else orjson.dumps(value).decode()
    return orjson.dumps(outputs).decode()


_MESSAGE = frozenset({"role", "content", "name", "tool_calls", "tool_call_id", "tool_call"})


def _config(record: Mapping[str, Any], raw: Body) -> Body:
    given = _object(raw, "config")
    config = given or {"type": "generic"}
    kind = config.get("type") or ("model" if "model" in config else "generic")
    found: Body = {"id": f"config_{short_hash(config)}", "type": kind}
    if kind == "model":
        found |= {k: v for k, v in config.items() if k in _MODEL_CONFIG and v is not None}
        return {"model": "unknown", **found}
    name = str(config.get("name") or record.get("event_name") or "unknown")
    found |= {k: v for k, v in config.items() if v is not None and k != "preset_name"}
    found |= {"status": "committed", "name": name, "type": kind}
    if kind == "agent":
        found.setdefault("agent_class", "unknown")
        found.setdefault("model_config", {"model": "unknown"})
    return found
