"""What went into a step and came out of it, as attributes of its span.

Pure functions, no thread owns them. A model's chat has the form of OTel's GenAI conventions. Every
other step has OpenInference's names beside, which Phoenix and MLflow show; on a model's span these
names would make MLflow show less. Invariant: a text that capture encoded is written in its bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from sessiontrace.model import payload
from sessiontrace.wire import chat_payload, model_call, semconv

__all__ = ["Value", "add_content", "flat_tools", "openinference_kind", "output_type"]

Event = dict[str, Any]
Value = str | bytes | bool | int | float | list[str]
"""An attribute's value; bytes are JSON, sent as a text."""

_MESSAGE = b'{"role":"%b","parts":[{"type":"text","content":%b}]}'
_MESSAGES = {b"tool": b'{"role":"%b","parts":[{"type":"tool_call_response","response":%b}]}'}
_ANSWER = b'[{"role":"%b","parts":[{"type":"text","content":%b}],"finish_reason":%b}]'
_REASONS = {
    "tool_calls": "tool_call",
    "function_call": "tool_call",
    "tool_use": "tool_call",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "STOP": "stop",
    "max_tokens": "length",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "refusal": "content_filter",
}
"""Providers' reasons in the words of the conventions; any other reason stays as it is."""

_COPY_MAX = 16 << 10
"""Bytes of a tool's arguments or result that are written under OpenInference's name too."""

_INSTRUCTIONS = ("system", "instructions", "system_instruction")


def add_content(attributes: dict[str, Value], event: Event, name: str) -> None:
    """Set inputs and outputs, as encoded, under the names for the type of event."""
    inputs, outputs = payload.payload_of(event, "inputs"), payload.payload_of(event, "outputs")
    kind = event.get("event_type")
    if kind == "model":
        inputs, outputs = _add_chat(attributes, event, inputs, outputs)
    elif kind == "tool":
        attributes["gen_ai.tool.name"] = name
        retrieval = attributes.get("gen_ai.operation.name") == "retrieval"
        if inputs is not None:
            attributes["gen_ai.tool.call.arguments"] = inputs
            if retrieval and (query := chat_payload.lone_value(inputs)) is not None:
                attributes["gen_ai.retrieval.query.text"] = query
        if (result := event.get("outputs")) is not None:
            attributes["gen_ai.tool.call.result"] = outputs = result
        inputs, outputs = _small(inputs), _small(outputs)  # these are there already
    if inputs is not None:
        attributes["input.value"] = inputs
        attributes["input.mime_type"] = "application/json"
    if outputs is not None:
        attributes["output.value"] = outputs
        attributes["output.mime_type"] = "application/json"


def _small(encoded: bytes | None) -> bytes | None:
    return encoded if encoded is None or len(encoded) <= _COPY_MAX else None


def openinference_kind(event: Event, operation: str | None) -> str | None:
    """``openinference.span.kind``; None for a model, whose operation says it."""
    kind = event.get("event_type")
    if kind == "model":
        return None
    if kind == "tool":
        return "RETRIEVER" if operation == "retrieval" else "TOOL"
    return "AGENT" if operation in semconv.AGENT_OPERATIONS else "CHAIN"


def _add_chat(
    attributes: dict[str, Value], event: Event, inputs: bytes | None, outputs: bytes | None
) -> tuple[bytes | None, bytes | None]:
    """Set a model's messages; returns what of its inputs and outputs is not in them."""
    if (chat := chat_payload.input_chat(inputs)) is not None:
        attributes["gen_ai.input.messages"] = _messages(chat)
        inputs = orjson.dumps(chat.other_inputs) if chat.other_inputs else None
        if (system := _instructions(chat.other_inputs or {})) is not None:
            attributes["gen_ai.system_instructions"] = system
    if (answers := chat_payload.output_chat(outputs)) is not None:
        attributes["gen_ai.output.messages"] = _answers(answers, event)
        outputs = None
    return inputs, outputs


def _messages(chat: chat_payload.Chat) -> bytes:
    if chat.plain:
        messages = [_MESSAGES.get(role, _MESSAGE) % (role, text) for role, text in chat.plain]
        return b"[%b]" % b",".join(messages)
    return orjson.dumps([model_call.parts(message) for message in chat.messages])


def _answers(chat: chat_payload.Chat, event: Event) -> bytes:
    """Messages with the reason why each ended: Phoenix leaves out a message without one."""
    reasons = model_call.finish_reasons(event) or chat.finish_reasons
    default = "error" if event.get("error") is not None else "stop"
    if chat.plain and len(chat.plain) == 1:
        role, text = chat.plain[0]
        return _ANSWER % (role, text, orjson.dumps(_reason(reasons, 0) or default))
    messages = [model_call.parts(message) for message in chat.messages]
    for position, message in enumerate(messages):
        calls = any(part.get("type") == "tool_call" for part in message["parts"] if part)
        reason = _reason(reasons, position) or ("tool_call" if calls else default)
        message.setdefault("finish_reason", reason)
    return orjson.dumps(messages)


def _reason(reasons: Sequence[str | None], position: int) -> str | None:
    reason = reasons[position] if position < len(reasons) else None
    return None if reason is None else _REASONS.get(reason, reason)


def _instructions(inputs: dict[str, Any]) -> bytes | None:
    """Instructions beside the chat (Anthropic, Responses, Gemini), as parts."""
    for name in _INSTRUCTIONS:
        value = inputs.get(name)
        if isinstance(value, str) and value:
            return orjson.dumps([{"type": "text", "content": value}])
        if isinstance(value, list) and value:
            return orjson.dumps([model_call.part(item) for item in value])
    return None


def flat_tools(tools: Any) -> Any:
    """Tool definitions as the conventions have them, ``{type, name, description, parameters}``."""
    if not isinstance(tools, list):
        return tools
    flat: list[Any] = []
    for tool in tools:
        declarations = tool.get("function_declarations") if isinstance(tool, dict) else None
        flat += map(_flat_tool, declarations if isinstance(declarations, list) else [tool])
    return flat


def _flat_tool(tool: Any) -> Any:
    if not isinstance(tool, dict):
        return tool
    function = tool.get("function")
    if isinstance(function, dict):  # OpenAI's chat
        return {"type": tool.get("type", "function"), **function}
    if "name" not in tool:
        return tool
    definition = {"type": "function", **tool}
    if definition["type"] == "custom":  # Anthropic's word for a function
        definition["type"] = "function"
    if "input_schema" in definition:
        definition["parameters"] = definition.pop("input_schema")
    return definition


def output_type(event: Event) -> str | None:
    """``gen_ai.output.type``, by the response format that was asked for."""
    parameters = payload.bucket(event, "config").get("hyperparameters")
    answer = parameters.get("response_format") if isinstance(parameters, dict) else None
    kind = answer.get("type") if isinstance(answer, dict) else answer
    if not isinstance(kind, str):
        return None
    return "json" if kind.startswith("json") else kind if kind in ("text", "image") else None
