"""What a span's attributes say, in the fields of a record, whichever convention they follow.

Pure functions. In order of trust: what HoneyHive's and our own exporters wrote, OTel's GenAI
conventions, OpenInference, Traceloop. Invariant: an attribute that nobody knows goes to the
metadata; none is lost.
"""

from __future__ import annotations

from typing import Any

import orjson

from sessiontrace.server import record_builder
from sessiontrace.server.record_builder import BUCKETS
from sessiontrace.wire import semconv
from sessiontrace.wire.otlp_json_reader import Span

__all__ = ["SESSION_KEYS", "bucketed", "fill", "json_value", "put", "text_of"]

Fields = dict[str, Any]

SESSION_KEYS = (
    "honeyhive.session_id",
    "traceloop.association.properties.session_id",
    "session.id",
    "gen_ai.conversation.id",
    "langfuse.session.id",
)
"""Where a span may name its session, the most explicit first."""

_USED = frozenset(
    {
        *SESSION_KEYS,
        "honeyhive.session_name",
        "honeyhive.session_auto_create",
        "honeyhive.source",
        "honeyhive.project",
        "honeyhive_event_type",
        "honeyhive_event_name",
        "honeyhive_event_id",
        "honeyhive_error",
        "honeyhive_duration_ms",
        "sessiontrace.event.id",
        "sessiontrace.event.type",
        "sessiontrace.parent.id",
        "sessiontrace.source",
        "gen_ai.operation.name",
        "gen_ai.tool.name",
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.system_instructions",
        "gen_ai.tool.call.arguments",
        "gen_ai.tool.call.result",
        "gen_ai.retrieval.query.text",
        "gen_ai.retrieval.documents",
        "openinference.span.kind",
        "traceloop.span.kind",
        "traceloop.entity.name",
        "traceloop.entity.input",
        "traceloop.entity.output",
        "input.value",
        "input.mime_type",
        "output.value",
        "output.mime_type",
        "error.type",
    }
)
_INDEXED = ("llm.input_messages.", "llm.output_messages.", "gen_ai.prompt.", "gen_ai.completion.")


def fill(fields: Fields, span: Span, kind: str) -> None:
    """Inputs, outputs, config, metadata and the like."""
    used = _named(fields, span.attributes)
    _content(fields, span.attributes, kind)
    for key, value in span.attributes.items():
        if (path := bucketed(key)) is not None:
            put(fields, path, json_value(value))
        elif key not in used and not key.startswith(_INDEXED):
            put(fields, ("metadata", key), value)
    for name, held in span.events:
        if name == "exception":
            error = {n: held.get(f"exception.{o}") for n, o in _EXCEPTION.items()}
            put(fields, ("metadata", "error"), {n: v for n, v in error.items() if v})
    put(fields, ("metadata", "otel"), {"trace_id": span.trace_id, "span_id": span.span_id})
    for bucket in BUCKETS:
        if bucket in fields:
            held = _lists(fields[bucket])
            fields[bucket] = held if isinstance(held, dict) else {"result": held}


def _named(fields: Fields, given: Fields) -> set[str]:
    """Set the fields that the conventions have names for; the attributes that are used up."""
    used: set[str] = set(_USED)
    for field in semconv.TABLE:
        for name in (*field.otel, *field.openinference, *field.traceloop):
            value = given.get(name)
            if value is not None:
                used.add(name)
                plain = json_value(value) if field.kind == "json" else value
                if field.kind == "ms" and record_builder.number(value) is not None:
                    plain = value * 1000  # the conventions count seconds
                put(fields, field.path, plain, keep=True)
    return used


def bucketed(key: str) -> tuple[str, ...] | None:
    """The path that HoneyHive's or our own exporter wrote into an attribute's name."""
    head, _, path = key.partition(".")
    if head.startswith("honeyhive_") and head[10:] in BUCKETS and path:
        return (head[10:], *path.split("."))
    part, _, name = path.partition(".")
    return (part, name) if head == "sessiontrace" and part in BUCKETS and name else None


_EXCEPTION = {"type": "type", "message": "message", "stack": "stacktrace"}


def _content(fields: Fields, given: Fields, kind: str) -> None:
    """What went in and came out, from messages, tool calls or plain values."""
    asked = _messages(given, "gen_ai.input.messages", "llm.input_messages.", "gen_ai.prompt.")
    system = json_value(given.get("gen_ai.system_instructions"))
    if isinstance(system, list) and system:
        asked = [_plain({"role": "system", "parts": system}), *asked]
    said = _messages(given, "gen_ai.output.messages", "llm.output_messages.", "gen_ai.completion.")
    if asked:
        fields["inputs"]["chat_history"] = asked
    if said:
        fields["outputs"] = said[0] if len(said) == 1 else {"choices": said}
    put_in = ("gen_ai.tool.call.arguments", "gen_ai.retrieval.query.text")
    came_out = ("gen_ai.tool.call.result", "gen_ai.retrieval.documents")
    for name in (*put_in, "traceloop.entity.input", "input.value"):
        if name in given and not asked:
            value = json_value(given[name])
            fields["inputs"] = value if isinstance(value, dict) else {"input": value}
            break
    for name in (*came_out, "traceloop.entity.output", "output.value"):
        if name in given and not said:
            value = json_value(given[name])
            fields["outputs"] = value if isinstance(value, dict) else {"result": value}
            break


def _messages(given: Fields, whole: str, *indexed: str) -> list[Fields]:
    listed = json_value(given.get(whole))
    if isinstance(listed, list):
        return [_plain(one) for one in listed if isinstance(one, dict)]
    for prefix in indexed:
        tree: Fields = {}
        for key, value in given.items():
            if key.startswith(prefix):
                put(tree, tuple(key[len(prefix) :].split(".")), value)
        if tree:
            return [_plain(_indexed(one)) for one in _lists(tree) if isinstance(one, dict)]
    return []


def _indexed(one: Fields) -> Fields:
    """A message of OpenInference's or Traceloop's flattened attributes."""
    message = one.get("message", one)
    found = {k: v for k, v in message.items() if k in ("role", "content", "tool_call_id", "name")}
    if "content" not in found and isinstance(message.get("contents"), list):
        parts = [part.get("message_content", part) for part in message["contents"]]
        found["content"] = [part for part in parts if isinstance(part, dict)]
    calls = [
        call.get("tool_call", call)
        for call in message.get("tool_calls", ())
        if isinstance(call, dict)
    ]
    if calls:
        found["tool_calls"] = [
            {"id": call.get("id"), "type": "function", "function": call.get("function", call)}
            for call in calls
        ]
    return found


def _plain(message: Fields) -> Fields:
    """A message as ``{role, content, tool_calls}``, whether it came in parts or not."""
    parts = message.get("parts")
    if not isinstance(parts, list):
        return {"role": "assistant", **message}
    found: Fields = {"role": message.get("role", "assistant")}
    texts: list[Any] = []
    calls: list[Fields] = []
    for part in parts:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text":
            texts.append(part.get("content"))
        elif kind == "tool_call":
            function = {"name": part.get("name"), "arguments": part.get("arguments")}
            calls.append({"id": part.get("id"), "type": "function", "function": function})
        elif kind == "tool_call_response":
            texts.append(part.get("response", part.get("result")))
            found["tool_call_id"] = part.get("id")
        else:
            texts.append(part)
    if len(texts) == 1:
        found["content"] = texts[0]
    elif all(isinstance(one, str) for one in texts):
        found["content"] = "\n".join(texts) or None
    else:
        found["content"] = texts
    return found | ({"tool_calls": calls} if calls else {})


def put(fields: Fields, path: tuple[str, ...], value: Any, *, keep: bool = False) -> None:
    """Set a value deep in nested objects; where something plain is in the way, it makes room."""
    held = fields
    for step in path[:-1]:
        below = held.get(step)
        if not isinstance(below, dict):
            below = held[step] = {} if below is None else {"value": below}
        held = below
    last = path[-1]
    if keep and last in held:
        return
    below = held.get(last)
    if isinstance(below, dict) and not isinstance(value, dict):
        below["value"] = value
    elif isinstance(below, dict):
        below.update(value)
    else:
        held[last] = value


def _lists(value: Any) -> Any:
    """Objects whose keys count 0, 1, 2, ... as lists."""
    if not isinstance(value, dict):
        return value
    found = {key: _lists(held) for key, held in value.items()}
    if found and all(key.isdecimal() for key in found):
        order = sorted(found, key=int)
        if [int(key) for key in order] == list(range(len(order))):
            return [found[key] for key in order]
    return found


def json_value(value: Any) -> Any:
    """The value of a JSON text; anything else as it is."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
    return value


def text_of(held: Fields, *names: str) -> str | None:
    """The first of these attributes that is a text and not empty."""
    for name in names:
        value = held.get(name)
        if isinstance(value, str) and value:
            return value
    return None
