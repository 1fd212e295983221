"""OpenTelemetry spans of any library, read as the fields of an event.

Pure functions, no thread owns them; the span processor in a program and the server's OTLP intake
both read with them, once ``dialects.translation`` has put a producer's own names into those of the
conventions. Attributes are read in this order of trust: HoneyHive's and our own exporters', OTel's
GenAI conventions, OpenInference, Traceloop; ``semconv.TABLE`` has the names of single fields.
Invariant: no attribute raises, and an attribute or event that no convention names stays in the
metadata under its own name.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from typing import Any, NamedTuple

from sessiontrace.model.fields import BUCKETS
from sessiontrace.wire.dialects.span_kinds import stated_kind, stated_operation
from sessiontrace.wire.message_reader import (
    MESSAGE_FIELD,
    indexed,
    input_messages,
    output_messages,
)
from sessiontrace.wire.received_span import DEPTH, Attributes, ReceivedSpan
from sessiontrace.wire.semconv import OPERATIONS, TABLE, Field
from sessiontrace.wire.session_facts import NAMED_BY, SESSION_KEYS, session_claim
from sessiontrace.wire.span_exception import stack_of
from sessiontrace.wire.value_tree import as_lists, json_value, merge, put, whole_json

__all__ = [
    "SpanFields",
    "bucket_path",
    "event_type",
    "first_text",
    "read_span",
]

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
_MODEL_SIGNS = ("llm.request.type", "gen_ai.system", "gen_ai.request.model", "llm.model_name")
_OWN_TYPES = ("sessiontrace.event.type", "honeyhive_event_type")
_TYPES = frozenset({"model", "tool", "chain", "session"})

_TOOL_NAMES = ("gen_ai.tool.name", "tool.name", "traceloop.entity.name")
_NAMES = (
    "traceloop.entity.name",  # also of a step of an agent, whose name is beside
    "gen_ai.agent.name",
    "gen_ai.workflow.name",
    "agent.name",
    "graph.node.name",
)
_ALL_NAMES = frozenset({*_TOOL_NAMES, *_NAMES})
_TOOL_INPUTS = ("gen_ai.tool.call.arguments", "gen_ai.retrieval.query.text")
_INPUTS = (*_TOOL_INPUTS, "input.value", "tool.parameters", "traceloop.entity.input")
_TOOL_OUTPUTS = ("gen_ai.tool.call.result", "gen_ai.retrieval.documents")
_OUTPUTS = (*_TOOL_OUTPUTS, "output.value", "traceloop.entity.output")
_DOCUMENTS = "retrieval.documents."
_CHATS = frozenset({"messages", "chat_history"})

_READ = frozenset(
    {
        *SESSION_KEYS,
        *_OWN_TYPES,
        "honeyhive.session_name",
        "honeyhive.session_auto_create",
        "honeyhive.source",
        "honeyhive.project",
        "honeyhive_event_name",
        "honeyhive_event_id",
        "honeyhive_error",
        "honeyhive_duration_ms",
        "sessiontrace.event.id",
        "sessiontrace.event.name",
        "sessiontrace.parent.id",
        "sessiontrace.source",
        "gen_ai.operation.name",
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.system_instructions",
        "openinference.span.kind",
        "traceloop.span.kind",
        "error.type",
        "tag.tags",
        "session.name",
        "session.input",
        "session.output",
    }
)
"""Attributes that this module, or the server for ids and sessions, reads by name."""

_INPUT_COPIES = frozenset({"input.value", "input.mime_type", "traceloop.entity.input"})
_OUTPUT_COPIES = frozenset({"output.value", "output.mime_type", "traceloop.entity.output"})


class SpanFields(NamedTuple):
    """What a span says, in the fields of an event; ``type`` may also be "session"."""

    type: str
    name: str
    inputs: dict[str, Any]
    outputs: dict[str, Any] | None
    config: dict[str, Any]
    metadata: dict[str, Any]
    metrics: dict[str, Any]
    feedback: dict[str, Any]
    user_properties: dict[str, Any]
    error: str | None


def _is_ours(attributes: Attributes) -> bool:
    """Whether our own exporter wrote the span."""
    return "sessiontrace.event.type" in attributes


def event_type(attributes: Mapping[str, Any]) -> str | None:
    """The event type that a span's attributes say; None: it is about no model, tool or agent."""
    for name in _OWN_TYPES:
        kind = attributes.get(name)
        if isinstance(kind, str) and kind in _TYPES:
            return kind
    operation = attributes.get("gen_ai.operation.name")
    if isinstance(operation, str):
        return OPERATIONS.get(operation, "tool" if operation.endswith("memory") else "chain")
    if attributes.get("mcp.method.name") == "tools/call":
        return "tool"
    kind = attributes.get("openinference.span.kind")
    if isinstance(kind, str):
        return _OPENINFERENCE.get(kind.upper(), "chain")
    kind = attributes.get("traceloop.span.kind")
    if isinstance(kind, str):
        return _TRACELOOP.get(kind, "chain")
    return "model" if any(name in attributes for name in _MODEL_SIGNS) else None


def read_span(span: ReceivedSpan) -> SpanFields:
    """The fields of the event that a span is; a span about nothing we know is a chain.

    ``span``: with its attributes in conventional names, see ``dialects.translation``.
    """
    attributes = span.attributes
    kind = event_type(attributes) or "chain"
    fields: dict[str, Any] = {"inputs": {}, "config": {}, "metadata": {}}
    read = _read_table(fields, attributes)
    for name, value in stated_kind(attributes, kind).items():
        put(fields, ("metadata", name), value, keep=True)
    read |= _read_inputs(fields, kind, attributes)
    read |= _read_outputs(fields, kind, attributes)
    name = _name(span, kind, fields["config"])
    tree = _read_metadata(fields, attributes, read, name)
    for bucket, value in tree.items():
        inner = as_lists(value)
        merge(fields, {bucket: inner if isinstance(inner, dict) else {"result": inner}})
    if error := _exception(span):
        put(fields, ("metadata", "error"), error)
    put(fields, ("metadata", "otel"), _otel(span, name))
    return SpanFields(
        kind,
        name,
        fields["inputs"],
        fields.get("outputs"),
        fields["config"],
        fields["metadata"],
        fields.get("metrics", {}),
        fields.get("feedback", {}),
        fields.get("user_properties", {}),
        _error(span),
    )


def _otel(span: ReceivedSpan, name: str) -> dict[str, Any]:
    """What OTel says about the span beside its attributes."""
    otel: dict[str, Any] = {"trace_id": span.trace_id, "span_id": span.span_id}
    if name != span.name:
        otel["name"] = span.name
    if (claim := session_claim(span.attributes, span.resource)) is not None:
        otel[NAMED_BY] = claim[1]
    events = [
        {"name": event, "attributes": attributes}
        for event, attributes in span.events
        if event != "exception"
    ]
    others = {"events": events, "links": span.links}
    return {**otel, **{part: value for part, value in others.items() if value}}


def first_text(attributes: Attributes, *names: str) -> str | None:
    """The first of these attributes that is a text and not empty."""
    for name in names:
        value = attributes.get(name)
        if isinstance(value, str) and value:
            return value
    return None


def _name(span: ReceivedSpan, kind: str, config: dict[str, Any]) -> str:
    """The event's name; instrumentors name a model's span after their own function."""
    attributes = span.attributes
    name = first_text(attributes, "honeyhive_event_name", "sessiontrace.event.name")
    if name is None and kind == "tool" and _is_ours(attributes):
        name = first_text(attributes, "gen_ai.tool.name")
    if name is not None or _is_ours(attributes):
        return name or span.name
    if kind == "model":
        model = config.get("model")
        operation = stated_operation(attributes) or "chat"
        return f"{operation} {model}" if model else span.name
    return first_text(attributes, *(_TOOL_NAMES if kind == "tool" else _NAMES)) or span.name


# -- single fields --------------------------------------------------------------------------


_BY_NAME: dict[str, tuple[int, Field]] = {}
"""The field that an attribute gives, with its rank: the lower rank wins a field.

Several fields may be written under one name, as the bounds of tokens are: the first one is read.
"""
for _rank, (_field, _name_of_field) in enumerate(
    (field, name)
    for field in TABLE
    for name in (*field.otel, *field.openinference, *field.traceloop)
):
    _BY_NAME.setdefault(_name_of_field, (_rank, _field))


def _read_table(fields: dict[str, Any], attributes: Attributes) -> set[str]:
    """Set the fields that the conventions have names for; the names of the attributes read."""
    ranked = [
        (*_BY_NAME[name], name)
        for name, value in attributes.items()
        if value is not None and name in _BY_NAME
    ]
    ranked.sort(key=itemgetter(0))
    for _, field, name in ranked:
        put(fields, field.path, _plain(field, attributes[name]), keep=True)
    return {name for _, _, name in ranked}


def _plain(field: Field, value: Any) -> Any:
    if field.kind in ("json", "tools"):
        return whole_json(value)
    if field.kind == "texts":
        value = json_value(value)
        texts = value if isinstance(value, list) else [value]
        return texts[0] if field.path[-1] == "finish_reason" and len(texts) == 1 else texts
    if field.kind == "ms" and type(value) in (int, float):
        return value * 1000  # the conventions count seconds
    if isinstance(value, str) and field.kind in _DECODED:  # of a producer that writes all as texts
        decoded = whole_json(value.lower() if field.kind == "bool" else value)
        return decoded if isinstance(decoded, _DECODED[field.kind]) else value
    return value


_DECODED: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "bool": (bool,)}


def _read_metadata(
    fields: dict[str, Any], attributes: Attributes, read: set[str], name: str
) -> dict[str, Any]:
    """Set the metadata; returns the tree that HoneyHive's or our exporter wrote by path.

    ``read``: attributes that the event has already. ``name``: its name, which needs no copy.
    """
    metadata = fields["metadata"]
    tree: dict[str, Any] = {}
    tokens = [metadata.get(count) for count in ("prompt_tokens", "completion_tokens")]
    if "total_tokens" not in metadata and all(type(count) is int for count in tokens):
        metadata["total_tokens"] = sum(tokens)
    for key, value in attributes.items():
        if key in _READ or key in read or (key in _ALL_NAMES and value == name):
            continue
        if (path := bucket_path(key)) is not None:
            put(tree, path, json_value(value))
            continue
        if MESSAGE_FIELD.match(key):
            continue
        decoded = json_value(value) if key == "metadata" else None
        if isinstance(decoded, dict):  # OpenInference's
            for entry, inner in decoded.items():
                metadata.setdefault(entry, inner)
        else:
            put(fields, ("metadata", key), value)
    if tags := attributes.get("tag.tags"):
        metadata["tags"] = tags
    return tree


def bucket_path(key: str) -> tuple[str, ...] | None:
    """The path that HoneyHive's or our own exporter wrote into an attribute's name."""
    if not key.startswith(("honeyhive_", "sessiontrace.")):
        return None
    head, _, path = key.partition(".")
    if head.startswith("honeyhive_") and head[10:] in BUCKETS and path:
        return (head[10:], *path.split(".", DEPTH))
    part, _, name = path.partition(".")
    return (part, name) if head == "sessiontrace" and part in BUCKETS and name else None


# -- errors ---------------------------------------------------------------------------------


def _exception(span: ReceivedSpan) -> dict[str, Any]:
    """Type, message and stack of what went wrong, as far as the span says."""
    exception = _exception_event(span)
    kind = first_text(span.attributes, "error.type")
    if not (exception or kind or span.failed):
        return {}
    error = {
        "type": exception.get("exception.type") or (None if kind == "_OTHER" else kind),
        "message": exception.get("exception.message") or (span.message if span.failed else None),
        "stack": _stack(exception.get("exception.stacktrace"), span.attributes),
    }
    return {name: value for name, value in error.items() if value}


def _stack(traceback: Any, attributes: Attributes) -> Any:
    return stack_of(traceback) if isinstance(traceback, str) and _is_ours(attributes) else traceback


def _exception_event(span: ReceivedSpan) -> Attributes:
    return next((attributes for name, attributes in span.events if name == "exception"), {})


def _error(span: ReceivedSpan) -> str | None:
    error = first_text(span.attributes, "honeyhive_error")
    if error or not span.failed:
        return error
    if span.message:
        return span.message
    exception = _exception_event(span)
    texts = [first_text(exception, f"exception.{part}") for part in ("type", "message")]
    return ": ".join(filter(None, texts)) or first_text(span.attributes, "error.type") or "error"


# -- inputs and outputs ---------------------------------------------------------------------


def _read_inputs(fields: dict[str, Any], kind: str, attributes: Attributes) -> set[str]:
    """Set what went in; the names of the attributes that need not be read again."""
    if _is_ours(attributes):  # the instructions are among the inputs
        attributes = {**attributes, "gen_ai.system_instructions": None}
    is_call = kind == "tool" and any(name in attributes for name in _TOOL_INPUTS)
    if not is_call and (chat := input_messages(attributes)):
        fields["inputs"] = {"chat_history": chat}
        others = json_value(attributes.get("input.value"))
        if isinstance(others, dict) and (_is_ours(attributes) or kind != "model"):
            # Our exporter writes what is beside the chat; that of a model is its request's body.
            fields["inputs"] |= {k: v for k, v in others.items() if k not in _CHATS}
        return {*_INPUT_COPIES}
    for name in _INPUTS:
        if name in attributes:
            fields["inputs"] = _object(attributes, name, "input")
            return {name, *_INPUT_COPIES, *(_TOOL_INPUTS if _is_ours(attributes) else ())}
    return set()


def _read_outputs(fields: dict[str, Any], kind: str, attributes: Attributes) -> set[str]:
    """Set what came out; the names of the attributes that need not be read again."""
    is_call = kind == "tool" and any(name in attributes for name in _TOOL_OUTPUTS)
    if not is_call and (choices := output_messages(attributes)):
        reasons = [choice.pop("finish_reason", None) for choice in choices]
        if any(reasons) and not _is_ours(attributes):  # ours may be a default
            reason = reasons[0] if len(reasons) == 1 else reasons
            put(fields, ("metadata", "finish_reason"), reason, keep=True)
        fields["outputs"] = choices[0] if len(choices) == 1 else {"choices": choices}
        return {*_OUTPUT_COPIES}
    for name in _OUTPUTS:
        if name in attributes:
            fields["outputs"] = _object(attributes, name, "result")
            return {name, *_OUTPUT_COPIES, *(_TOOL_OUTPUTS if _is_ours(attributes) else ())}
    if documents := indexed(attributes, _DOCUMENTS):
        fields["outputs"] = {"documents": [item.get("document", item) for item in documents]}
        return {name for name in attributes if name.startswith(_DOCUMENTS)}
    return set()


def _object(attributes: Attributes, name: str, key: str) -> dict[str, Any]:
    """A value as an object. Traceloop writes JSON always, OpenInference where it says so."""
    side = name.partition(".")[0]
    whole = side == "traceloop" or attributes.get(f"{side}.mime_type") == "application/json"
    value = attributes[name]
    decoded = whole_json(value) if whole else json_value(value)
    return decoded if isinstance(decoded, dict) else {key: decoded}
