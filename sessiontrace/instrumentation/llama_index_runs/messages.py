"""LlamaIndex's messages, responses, nodes and events in the form that our events have.

Pure functions, on the thread of the step. Invariant: reading changes nothing, and a block that no
convention names is kept.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from sessiontrace.instrumentation.core.model_calls import Answer
from sessiontrace.instrumentation.core.response_fields import (
    get_field,
    other_fields,
    set_fields,
    tool_call,
    without_none,
)
from sessiontrace.instrumentation.core.token_counts import reported_usage

__all__ = ["LastResponse", "answer", "is_stream", "message", "nodes", "shaped", "step_inputs"]

_READ_KWARGS = frozenset({"tool_calls", "function_call", "tool_call_id"})
_COUNTS = frozenset({"prompt_tokens", "completion_tokens", "total_tokens"})
_SERVICES = frozenset({"ctx", "self", "memory", "llm", "callback_manager", "init_state", "tags"})
_DEPTH = 4


def message(value: Any) -> dict[str, Any]:
    """A ``ChatMessage``: text as ``content``, its tool calls and reasoning beside it."""
    role = get_field(value, "role")
    kwargs = get_field(value, "additional_kwargs")
    kwargs = kwargs if isinstance(kwargs, Mapping) else {}
    texts: list[str] = []
    blocks: list[Any] = []
    calls: list[dict[str, Any]] = []
    reasoning: list[str] = []
    for block in get_field(value, "blocks") or ():
        kind = get_field(block, "block_type")
        if kind == "text":
            texts.append(get_field(block, "text") or "")
            blocks.append({"type": "text", "text": texts[-1]})
        elif kind == "tool_call":
            calls.append(
                tool_call(
                    get_field(block, "tool_call_id"),
                    get_field(block, "tool_name"),
                    get_field(block, "tool_kwargs"),
                )
            )
        elif kind == "thinking":
            reasoning.append(get_field(block, "content") or "")
        else:
            blocks.append({"type": kind, **other_fields(block, frozenset({"block_type"}))})
    if len(blocks) == len(texts):
        content: Any = "".join(texts) if texts else None
    else:
        content = blocks
    fields = {
        "role": str(getattr(role, "value", role)),
        "content": content,
        "tool_calls": calls or [_call(call) for call in kwargs.get("tool_calls") or ()] or None,
        "tool_call_id": kwargs.get("tool_call_id"),
        "reasoning": "".join(reasoning) or None,
        "additional_kwargs": {
            name: entry for name, entry in kwargs.items() if name not in _READ_KWARGS and entry
        }
        or None,
    }
    return {"role": fields["role"], "content": content, **without_none(fields)}


def _call(call: Any) -> Any:
    function = get_field(call, "function")
    if function is None:
        return call
    return tool_call(
        get_field(call, "id"), get_field(function, "name"), get_field(function, "arguments")
    )


def answer(response: Any) -> Answer:
    """Outputs and metadata of a ``ChatResponse`` or ``CompletionResponse``."""
    reply = get_field(response, "message")
    text = get_field(response, "text")
    outputs = {"role": "assistant", "content": text} if reply is None else message(reply)
    return Answer(outputs, _metadata(response))


def _metadata(response: Any) -> dict[str, Any]:
    raw = get_field(response, "raw")
    usage = get_field(raw, "usage") or get_field(raw, "usage_metadata")
    counts = reported_usage(usage)
    if not counts:
        kwargs = get_field(response, "additional_kwargs") or {}
        counts = reported_usage({name: kwargs[name] for name in _COUNTS if name in kwargs})
    choices = get_field(raw, "choices") or ()
    reason = next((get_field(choice, "finish_reason") for choice in choices), None)
    identity = {
        "response_model": get_field(raw, "model"),
        "response_id": get_field(raw, "id"),
        "finish_reason": reason or get_field(raw, "stop_reason"),
    }
    return {**counts, **{name: value for name, value in identity.items() if value}}


class LastResponse:
    """The answer of a stream: each response holds all that came before, and one holds the usage."""

    def __init__(self) -> None:
        self._last: Any = None
        self._metadata: dict[str, Any] = {}

    def add(self, chunk: Any) -> None:
        """Take in one response of the stream."""
        self._last = chunk
        self._metadata.update(_metadata(chunk))

    def answer(self) -> Answer:
        """The answer as far as it has come."""
        if self._last is None:
            return Answer({"role": "assistant", "content": None}, {})
        return Answer(answer(self._last).outputs, self._metadata)


def nodes(values: Any) -> list[dict[str, Any]]:
    """Documents with their scores."""
    return [
        without_none(
            {
                "content": get_field(get_field(value, "node"), "text"),
                "score": get_field(value, "score"),
                "metadata": get_field(get_field(value, "node"), "metadata") or None,
                "id": get_field(get_field(value, "node"), "id_"),
            }
        )
        for value in values
    ]


def step_inputs(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a step as its inputs, without the library's own services."""
    inputs: dict[str, Any] = {}
    for name, value in arguments.items():
        if name in _SERVICES or value is None:
            continue
        if name == "kwargs" and isinstance(value, Mapping):
            inputs.update({key: shaped(entry) for key, entry in value.items()})
        elif name in ("ev", "start_event"):
            fields = shaped(value)
            inputs.update(fields if isinstance(fields, dict) else {name: fields})
        elif not is_stream(value):
            inputs[name] = shaped(value)
    return inputs


def is_stream(value: Any) -> bool:
    """Whether this is a stream, which only its reader may read."""
    return isinstance(value, (Iterator, AsyncIterator))


def shaped(value: Any, depth: int = _DEPTH) -> Any:
    """A value of LlamaIndex as JSON shows it best; any other value as it is."""
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if isinstance(value, (list, tuple)):
        return [shaped(entry, depth - 1) for entry in value] if depth else value
    kinds = {kind.__name__ for kind in type(value).__mro__}
    if "ChatMessage" in kinds:
        return message(value)
    if "ChatResponse" in kinds or "CompletionResponse" in kinds:
        return answer(value).outputs
    if "NodeWithScore" in kinds:
        return nodes([value])[0]
    if any(
        kind.endswith("StreamingResponse") or kind == "StreamingAgentChatResponse" for kind in kinds
    ):
        return None  # its text is the answer of the model's event
    if "ToolOutput" in kinds or "ToolSelection" in kinds:
        return {name: field for name, field in vars(value).items() if name != "raw_output"}
    if "Event" in kinds and depth:
        return _event(value, kinds, depth)
    if kinds & {"Response", "AgentChatResponse", "PydanticResponse"}:
        sources = get_field(value, "source_nodes")
        return without_none(
            {"response": get_field(value, "response"), "sources": nodes(sources or ()) or None}
        )
    if "QueryBundle" in kinds:
        return get_field(value, "query_str")
    return value


def _event(value: Any, kinds: set[str], depth: int) -> Any:
    """The fields of a workflow's event, declared or not; of the last one its result."""
    if "StopEvent" in kinds and (result := getattr(value, "result", None)) is not None:
        return shaped(result, depth - 1)
    fields = {**set_fields(value), **dict(value.items())}
    return {
        name: shaped(field, depth - 1)
        for name, field in fields.items()
        if field is not None and name != "raw"
    }
