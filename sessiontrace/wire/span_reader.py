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
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

from sessiontrace.model.step_types import SPAN_TYPES, STEP_TYPES, base_type
from sessiontrace.wire.decoded.name_plan import OWN_TYPES, NamePlan, Others, plan_of
from sessiontrace.wire.decoded.plain_span import plain_chat
from sessiontrace.wire.dialects.span_kinds import stated_kind, stated_operation
from sessiontrace.wire.message_reader import indexed, input_messages, output_messages
from sessiontrace.wire.received_span import Attributes, ReceivedSpan
from sessiontrace.wire.semconv import OPERATIONS, Field
from sessiontrace.wire.session_facts import NAMED_BY, session_claim
from sessiontrace.wire.span_exception import stack_of
from sessiontrace.wire.value_tree import as_lists, json_value, merge, put, whole_json

__all__ = [
    "SpanFields",
    "event_type",
    "first_text",
    "read_claiming_span",
    "read_span",
]

_OPENINFERENCE = {
    **{row.openinference: row.name for row in STEP_TYPES.values()},
    "RERANKER": "model",
    "DECISION": "model",
}
_TRACELOOP = {"workflow": "chain", "task": "chain", "agent": "agent", "tool": "tool"}
_MODEL_SIGNS = ("llm.request.type", "gen_ai.system", "gen_ai.request.model", "llm.model_name")

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

_NO_NAMES: frozenset[str] = frozenset()
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
    for name in OWN_TYPES:
        kind = attributes.get(name)
        if isinstance(kind, str) and kind in SPAN_TYPES:
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
    return read_claiming_span(span, session_claim(span.attributes, span.resource))


def read_claiming_span(span: ReceivedSpan, claim: tuple[int, str, str] | None) -> SpanFields:
    """As ``read_span``, for a caller that has the span's ``session_claim``."""
    attributes = span.attributes
    plan = plan_of(attributes)
    if plan.plain is not None and not (span.events or span.failed):
        chat = plain_chat(attributes, plan.plain)
        if chat is not None:
            return _plain_fields(span, chat, claim)
    kind = event_type(attributes) or "chain"
    metadata: dict[str, Any] = {}
    fields: dict[str, Any] = {"inputs": {}, "config": {}, "metadata": metadata}
    others = plan.others
    if not _read_fields(fields, plan, attributes):
        others = plan.others_without_values(attributes)
    for name, value in stated_kind(attributes, kind).items():
        put(fields, ("metadata", name), value, keep=True)
    read = _read_inputs(fields, kind, attributes)
    of_outputs = _read_outputs(fields, kind, attributes)
    if base_type(kind) == "model" and (answering := metadata.get("response_model")):
        fields["config"].setdefault("model", answering)
    name = _name(span, kind, fields["config"])
    _set_total(metadata)
    if others:
        tree = _read_others(fields, others, attributes, read | of_outputs, name)
    if tags := attributes.get("tag.tags"):
        metadata["tags"] = tags
    if others:
        _merge_tree(fields, tree)
    if error := _exception(span):
        put(fields, ("metadata", "error"), error)
    otel = _otel(span, name, claim)
    if "otel" in metadata:
        put(fields, ("metadata", "otel"), otel)
    else:
        metadata["otel"] = otel
    get = fields.get
    return SpanFields(
        kind,
        name,
        fields["inputs"],
        get("outputs"),
        fields["config"],
        fields["metadata"],
        get("metrics", {}),
        get("feedback", {}),
        get("user_properties", {}),
        _error(span),
    )


def _plain_fields(
    span: ReceivedSpan, chat: dict[str, Any], claim: tuple[int, str, str] | None
) -> SpanFields:
    """The fields of a plain span, of whose attributes ``plain_chat`` made these objects."""
    get, config, metadata = chat.get, chat["config"], chat["metadata"]
    model = config.get("model")
    name = f"chat {model}" if model else span.name
    metadata["otel"] = _otel(span, name, claim)
    properties = get("user_properties", {})
    return SpanFields(
        "model", name, chat["inputs"], get("outputs"), config, metadata, {}, {}, properties, None
    )


def _otel(span: ReceivedSpan, name: str, claim: tuple[int, str, str] | None) -> dict[str, Any]:
    """What OTel says about the span beside its attributes."""
    otel: dict[str, Any] = {"trace_id": span.trace_id, "span_id": span.span_id}
    if name != span.name:
        otel["name"] = span.name
    if claim is not None:
        otel[NAMED_BY] = claim[1]
    if span.events:
        events = [
            {"name": event, "attributes": attributes}
            for event, attributes in span.events
            if event != "exception"
        ]
        if events:
            otel["events"] = events
    if span.links:
        otel["links"] = span.links
    return otel


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
    if name is None and base_type(kind) == "tool" and _is_ours(attributes):
        name = first_text(attributes, "gen_ai.tool.name")
    if name is not None or _is_ours(attributes):
        return name or span.name
    if base_type(kind) == "model":
        model = config.get("model")
        operation = stated_operation(attributes) or "chat"
        return f"{operation} {model}" if model else span.name
    names = _TOOL_NAMES if base_type(kind) == "tool" else _NAMES
    return first_text(attributes, *names) or span.name


# -- single fields --------------------------------------------------------------------------


def _read_fields(fields: dict[str, Any], plan: NamePlan, attributes: Attributes) -> bool:
    """Set the fields that the conventions have names for; whether all of them have a value."""
    complete = True
    for field, name in plan.fields:
        value = attributes[name]
        if value is None:
            complete = False
            continue
        if field.kind != "text":
            value = _plain(field, value)
        place = fields.get(field.path[0])
        if len(field.path) == 2 and place is not None and place.get(field.path[1]) is None:
            place[field.path[1]] = value  # as ``put`` does, which is slower
        else:
            put(fields, field.path, value, keep=True)
    return complete


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


def _read_others(
    fields: dict[str, Any],
    others: Others,
    attributes: Attributes,
    read: AbstractSet[str],
    name: str,
) -> dict[str, Any]:
    """Set the metadata; returns the tree that HoneyHive's or our exporter wrote by path.

    ``read``: attributes that the event has already. ``name``: its name, which needs no copy.
    """
    metadata = fields["metadata"]
    tree: dict[str, Any] = {}
    for key, path in others:
        value = attributes[key]
        if key in read or (key in _ALL_NAMES and value == name):
            continue
        if path is not None:
            put(tree, path, json_value(value))
            continue
        decoded = json_value(value) if key == "metadata" else None
        if isinstance(decoded, dict):  # OpenInference's
            for entry, inner in decoded.items():
                metadata.setdefault(entry, inner)
        else:
            put(fields, ("metadata", key), value)
    return tree


def _merge_tree(fields: dict[str, Any], tree: dict[str, Any]) -> None:
    for bucket, value in tree.items():
        inner = as_lists(value)
        merge(fields, {bucket: inner if isinstance(inner, dict) else {"result": inner}})


def _set_total(metadata: dict[str, Any]) -> None:
    if "total_tokens" not in metadata:
        prompt, completion = metadata.get("prompt_tokens"), metadata.get("completion_tokens")
        if type(prompt) is int and type(completion) is int:
            metadata["total_tokens"] = prompt + completion


# -- errors ---------------------------------------------------------------------------------


def _exception(span: ReceivedSpan) -> dict[str, Any]:
    """Type, message and stack of what went wrong, as far as the span says."""
    if not span.failed and not span.events and "error.type" not in span.attributes:
        return {}
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
    if not span.events:
        return {}
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


def _read_inputs(fields: dict[str, Any], kind: str, attributes: Attributes) -> AbstractSet[str]:
    """Set what went in; the names of the attributes that need not be read again."""
    if _is_ours(attributes):  # the instructions are among the inputs
        attributes = {**attributes, "gen_ai.system_instructions": None}
    is_call = base_type(kind) == "tool" and any(name in attributes for name in _TOOL_INPUTS)
    if not is_call and (chat := input_messages(attributes)):
        fields["inputs"] = {"chat_history": chat}
        others = json_value(attributes.get("input.value"))
        if isinstance(others, dict) and (_is_ours(attributes) or base_type(kind) != "model"):
            # Our exporter writes what is beside the chat; that of a model is its request's body.
            fields["inputs"] |= {k: v for k, v in others.items() if k not in _CHATS}
        return _INPUT_COPIES
    for name in _INPUTS:
        if name in attributes:
            fields["inputs"] = _object(attributes, name, "input")
            return {name, *_INPUT_COPIES, *(_TOOL_INPUTS if _is_ours(attributes) else ())}
    return _NO_NAMES


def _read_outputs(fields: dict[str, Any], kind: str, attributes: Attributes) -> AbstractSet[str]:
    """Set what came out; the names of the attributes that need not be read again."""
    is_call = base_type(kind) == "tool" and any(name in attributes for name in _TOOL_OUTPUTS)
    if not is_call and (choices := output_messages(attributes)):
        reasons = [choice.pop("finish_reason", None) for choice in choices]
        if any(reasons) and not _is_ours(attributes):  # ours may be a default
            reason = reasons[0] if len(reasons) == 1 else reasons
            put(fields, ("metadata", "finish_reason"), reason, keep=True)
        fields["outputs"] = choices[0] if len(choices) == 1 else {"choices": choices}
        return _OUTPUT_COPIES
    for name in _OUTPUTS:
        if name in attributes:
            fields["outputs"] = _object(attributes, name, "result")
            return {name, *_OUTPUT_COPIES, *(_TOOL_OUTPUTS if _is_ours(attributes) else ())}
    if documents := indexed(attributes, _DOCUMENTS):
        fields["outputs"] = {"documents": [item.get("document", item) for item in documents]}
        return {name for name in attributes if name.startswith(_DOCUMENTS)}
    return _NO_NAMES


def _object(attributes: Attributes, name: str, key: str) -> dict[str, Any]:
    """A value as an object. Traceloop writes JSON always, OpenInference where it says so."""
    side = name.partition(".")[0]
    whole = side == "traceloop" or attributes.get(f"{side}.mime_type") == "application/json"
    value = attributes[name]
    if isinstance(value, str) and value[:1] == value[-1:] == '"':  # a text as JSON
        whole = True
    decoded = whole_json(value) if whole else json_value(value)
    return decoded if isinstance(decoded, dict) else {key: decoded}
