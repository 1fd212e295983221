"""Spans that others made, read as events: OTel's GenAI conventions, OpenInference and Traceloop.

Pure reading of attributes by the table in ``genai``, in this order of trust; used by the span
processor in the program and wherever spans come in. Invariant: a span that is about no model, tool
or agent is told apart from one that is, and no attribute raises.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import orjson

from sessiontrace.wire.semconv import TABLE, Field

__all__ = ["Event", "event_of", "type_of"]

Attributes = Mapping[str, Any]

_OPERATIONS = {
    "chat": "model",
    "generate_content": "model",
    "text_completion": "model",
    "embeddings": "model",
    "fetch_response": "model",
    "execute_tool": "tool",
    "retrieval": "tool",
    "invoke_agent": "chain",
    "create_agent": "chain",
    "invoke_workflow": "chain",
    "plan": "chain",
}
_OPENINFERENCE = {
    "LLM": "model",
    "EMBEDDING": "model",
    "RERANKER": "model",
    "DECISION": "model",
    "TOOL": "tool",
    "RETRIEVER": "tool",
    "CHAIN": "chain",
    "AGENT": "chain",
    "GUARDRAIL": "chain",
    "EVALUATOR": "chain",
    "PROMPT": "chain",
    "UNKNOWN": "chain",
}
_TRACELOOP = {"workflow": "chain", "task": "chain", "agent": "chain", "tool": "tool"}

_NAMES = ("gen_ai.tool.name", "gen_ai.agent.name", "gen_ai.workflow.name")
_OTHER_NAMES = ("tool.name", "agent.name", "graph.node.name", "traceloop.entity.name")


class Event(NamedTuple):
    """A foreign span in our words. ``session`` is the conversation's id it names, if any."""

    type: str
    name: str
    inputs: dict[str, Any]
    outputs: dict[str, Any] | None
    config: dict[str, Any]
    metadata: dict[str, Any]
    metrics: dict[str, Any]
    user_properties: dict[str, Any]
    session: str | None


def type_of(attributes: Attributes) -> str | None:
    """The event type that a span's attributes make it; None: it is none of ours."""
    operation = attributes.get("gen_ai.operation.name")
    if isinstance(operation, str):
        return _OPERATIONS.get(operation, "tool" if operation.endswith("memory") else "chain")
    if attributes.get("mcp.method.name") == "tools/call":
        return "tool"
    kind = attributes.get("openinference.span.kind")
    if isinstance(kind, str):
        return _OPENINFERENCE.get(kind.upper(), "chain")
    kind = attributes.get("traceloop.span.kind")
    if isinstance(kind, str):
        return _TRACELOOP.get(kind, "chain")
    if "llm.request.type" in attributes or "gen_ai.system" in attributes:
        return "model"
    return None


def event_of(name: str, attributes: Attributes) -> Event | None:
    """The event a span is; None when it is about something else."""
    kind = type_of(attributes)
    if kind is None:
        return None
    found: dict[str, dict[str, Any]] = {}
    for field in TABLE:
        value = _value(field, attributes)
        if value is not None:
            _put(found, field.path, value)
    for part in ("config", "metadata", "metrics", "user_properties"):
        found.setdefault(part, {})
    _more_metadata(found, attributes)
    return Event(
        kind,
        _name(name, kind, attributes, found),
        _inputs(kind, attributes),
        _outputs(kind, attributes),
        found["config"],
        found["metadata"],
        found["metrics"],
        found["user_properties"],
        _text(
            attributes,
            "gen_ai.conversation.id",
            "session.id",
            "traceloop.association.properties.session_id",
        ),
    )


def _put(found: dict[str, Any], path: Iterable[str], value: Any) -> None:
    *steps, last = path
    place = found
    for step in steps:
        place = place.setdefault(step, {})
    held = place.get(last)
    if isinstance(held, dict) and isinstance(value, dict):
        value = {**value, **held}
    elif held is not None:
        return
    place[last] = value


def _value(field: Field, attributes: Attributes) -> Any:
    for name in (*field.otel, *field.openinference, *field.traceloop):
        value = attributes.get(name)
        if value is None:
            continue
        if field.kind == "json":
            return _decoded(value)
        if field.kind == "texts":
            texts = list(value) if isinstance(value, (list, tuple)) else [value]
            return texts[0] if field.path[-1] == "finish_reason" and len(texts) == 1 else texts
        if field.kind == "ms":
            return value * 1000 if isinstance(value, (int, float)) else None
        return value
    return None


def _more_metadata(found: dict[str, Any], attributes: Attributes) -> None:
    metadata = found["metadata"]
    tokens = [metadata.get(name) for name in ("prompt_tokens", "completion_tokens")]
    if "total_tokens" not in metadata and all(isinstance(count, int) for count in tokens):
        metadata["total_tokens"] = sum(tokens)
    given = _decoded(attributes.get("metadata"))
    if isinstance(given, dict):
        found["metadata"] = {**given, **metadata}
    tags = attributes.get("tag.tags")
    if tags:
        found["metadata"]["tags"] = list(tags)


def _name(name: str, kind: str, attributes: Attributes, found: dict[str, Any]) -> str:
    model = found["config"].get("model")
    operation = attributes.get("gen_ai.operation.name")
    if kind == "model":
        return f"{operation or 'chat'} {model}" if model else name
    given = _text(attributes, *_NAMES, *_OTHER_NAMES)
    return given or name


def _text(attributes: Attributes, *names: str) -> str | None:
    for name in names:
        value = attributes.get(name)
        if isinstance(value, str) and value:
            return value
    return None


def _decoded(value: Any) -> Any:
    if isinstance(value, (str, bytes)):
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
    return value


def _object(value: Any, key: str) -> dict[str, Any]:
    decoded = _decoded(value)
    return decoded if isinstance(decoded, dict) else {key: decoded}


# -- what went in and came out --------------------------------------------------------------


def _inputs(kind: str, attributes: Attributes) -> dict[str, Any]:
    if kind != "tool":
        history = _messages(attributes, "gen_ai.input.messages", "llm.input_messages", "prompt")
        system = _decoded(attributes.get("gen_ai.system_instructions"))
        if isinstance(system, list):
            history.insert(0, {"role": "system", "content": _content(system)})
        if history:
            return {"chat_history": history}
    for name in (
        "gen_ai.tool.call.arguments",
        "gen_ai.retrieval.query.text",
        "input.value",
        "tool.parameters",
        "traceloop.entity.input",
    ):
        if name in attributes:
            return _object(attributes[name], "input")
    return {}


def _outputs(kind: str, attributes: Attributes) -> dict[str, Any] | None:
    if kind != "tool":
        shown = _messages(attributes, "gen_ai.output.messages", "llm.output_messages", "completion")
        if shown:
            return shown[0] if len(shown) == 1 else {"choices": shown}
    for name in (
        "gen_ai.tool.call.result",
        "gen_ai.retrieval.documents",
        "output.value",
        "traceloop.entity.output",
    ):
        if name in attributes:
            return _object(attributes[name], "result")
    documents = _listed(attributes, "retrieval.documents.")
    return {"documents": [one.get("document", one) for one in documents]} if documents else None


def _messages(attributes: Attributes, otel: str, openinference: str, old: str) -> list[Any]:
    """A list of messages in any of the three forms, as ``{role, content, tool_calls?}``."""
    given = _decoded(attributes.get(otel))
    if isinstance(given, list):
        return [_from_parts(one) for one in given if isinstance(one, dict)]
    flat = _listed(attributes, f"{openinference}.")
    if flat:
        return [_from_openinference(one.get("message", {})) for one in flat]
    return [_from_traceloop(one) for one in _listed(attributes, f"gen_ai.{old}.")]


def _from_parts(message: dict[str, Any]) -> dict[str, Any]:
    parts = message.get("parts")
    if not isinstance(parts, list):
        return message
    shown: dict[str, Any] = {"role": message.get("role", "user")}
    calls = []
    for part in parts:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "tool_call":
            calls.append(_call(part.get("id"), part.get("name"), part.get("arguments")))
        elif kind == "tool_call_response":
            shown["tool_call_id"] = part.get("id")
            shown["content"] = part.get("response", part.get("result"))
        elif kind == "reasoning":
            shown["reasoning"] = part.get("content")
    shown.setdefault("content", _content(parts))
    if calls:
        shown["tool_calls"] = calls
    return shown


def _content(parts: list[Any]) -> Any:
    """The text of a message; the parts themselves when there is more to it than text."""
    known = ("text", "tool_call", "tool_call_response", "reasoning")
    if all(isinstance(part, dict) and part.get("type") in known for part in parts):
        texts = [str(part.get("content", "")) for part in parts if part["type"] == "text"]
        return "".join(texts) if texts else None
    return parts


def _from_openinference(message: Any) -> dict[str, Any]:
    contents = message.get("contents")
    shown = {"role": message.get("role", "user"), "content": message.get("content")}
    if contents:
        inner = [one.get("message_content", one) for one in _in_order(contents)]
        texts = [one.get("text") for one in inner if one.get("type", "text") == "text"]
        shown["content"] = "".join(map(str, texts)) if len(texts) == len(inner) else inner
    calls = [one.get("tool_call", {}) for one in _in_order(message.get("tool_calls") or {})]
    if calls:
        shown["tool_calls"] = [
            _call(
                one.get("id"),
                one.get("function", {}).get("name"),
                one.get("function", {}).get("arguments"),
            )
            for one in calls
        ]
    if "tool_call_id" in message:
        shown["tool_call_id"] = message["tool_call_id"]
    return shown


def _from_traceloop(message: dict[str, Any]) -> dict[str, Any]:
    shown = {"role": message.get("role", "user"), "content": message.get("content")}
    calls = _in_order(message.get("tool_calls") or {})
    if calls:
        shown["tool_calls"] = [
            _call(one.get("id"), one.get("name"), one.get("arguments")) for one in calls
        ]
    return shown


def _call(id: Any, name: Any, arguments: Any) -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def _listed(attributes: Attributes, prefix: str) -> list[dict[str, Any]]:
    """``prefix.N.a.b`` attributes as a list of nested dicts."""
    root: dict[str, Any] = {}
    for name, value in attributes.items():
        if name.startswith(prefix):
            place = root
            *steps, last = name[len(prefix) :].split(".")
            for step in steps:
                inner = place.setdefault(step, {})
                place = inner if isinstance(inner, dict) else place
            place.setdefault(last, value)
    return [one for one in _in_order(root) if isinstance(one, dict)]


def _in_order(numbered: Any) -> list[Any]:
    if not isinstance(numbered, dict):
        return []
    return [numbered[key] for key in sorted((k for k in numbered if k.isdigit()), key=int)]
