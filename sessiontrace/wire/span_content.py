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
from sessiontrace.model.step_types import STEP_TYPES, base_of, refined, step_type
from sessiontrace.wire import chat_payload, model_call, semconv
from sessiontrace.wire.retrieval.documents import convention_form, documents_of
from sessiontrace.wire.roundtrip.changes import Changes, differences, moved
from sessiontrace.wire.roundtrip.chat_entries import (
    Layout,
    entry_of,
    message_of,
    outputs_of,
)
from sessiontrace.wire.roundtrip.converted_entries import converted_entry
from sessiontrace.wire.roundtrip.part_rules import conforming

__all__ = ["CHAT", "Value", "add_content", "openinference_kind", "output_type"]

Event = dict[str, Any]
Value = str | bytes | bool | int | float | list[str]
"""An attribute's value; bytes are JSON, sent as a text."""

CHAT = "sessiontrace.chat"
"""The attribute that says how a chat was written, where it was not in the usual form.

A JSON object: ``inputs``: the entry that had the chat, "chat_history" where it is absent.
``outputs``: "choices" where the messages were in choices, "messages" where they were a list of
choices themselves. ``input``, ``output``: the layouts of messages, by their position.
"""

_MESSAGES = {"inputs": "messages"}
_MESSAGES_FORM = orjson.dumps(_MESSAGES).decode()

_KINDS_OF_CALLS = {
    "rerank": "RERANKER",
    "moderation": "GUARDRAIL",
    "classification": "LLM",
    "decision": "LLM",
    "ocr": "LLM",
}
"""By the operation: the kind of a model's span where backends do not know its operation."""

_COPY_MAX = 16 << 10
"""Bytes of a tool's arguments or result that are written under OpenInference's name too."""

_INSTRUCTIONS = ("system", "instructions", "system_instruction")


def add_content(
    attributes: dict[str, Value],
    event: Event,
    name: str,
    operation: str | None,
    changes: Changes,
) -> None:
    """Set inputs and outputs, as encoded, under the names for the type of event.

    ``name``: the event's own. ``operation``: its ``gen_ai.operation.name``. ``changes``: gets what
    the attributes do not say, see ``roundtrip``.
    """
    inputs: bytes | None = event.get("inputs")
    outputs: bytes | None = event.get("outputs")
    kind = base_of(event)
    if kind == "model":
        inputs, outputs = _add_chat(attributes, event, inputs, outputs, changes)
    elif kind == "tool":
        attributes["gen_ai.tool.name"] = name
        retrieval = operation == "retrieval"
        if (arguments := payload.payload_of(event, "inputs")) is not None:
            attributes["gen_ai.tool.call.arguments"] = arguments
            if retrieval and (query := chat_payload.lone_value(arguments)) is not None:
                attributes["gen_ai.retrieval.query.text"] = query
        if outputs is not None:
            attributes["gen_ai.tool.call.result"] = outputs
            if retrieval and (documents := _documents(outputs)) is not None:
                attributes["gen_ai.retrieval.documents"] = documents
        inputs, outputs = _small(inputs), _small(outputs)  # these are there already
    if inputs is not None and inputs != b"{}":
        attributes["input.value"] = inputs
        attributes["input.mime_type"] = "application/json"
    if outputs is not None:
        attributes["output.value"] = outputs
        attributes["output.mime_type"] = "application/json"


def _documents(result: bytes) -> bytes | None:
    documents = documents_of(result) if len(result) <= _COPY_MAX else []
    return convention_form(documents)


def _small(encoded: bytes | None) -> bytes | None:
    return encoded if encoded is None or len(encoded) <= _COPY_MAX else None


def openinference_kind(event: Event, operation: str | None) -> str | None:
    """``openinference.span.kind``; None for a model whose operation says it."""
    base = base_of(event)
    if base == "model":
        return _KINDS_OF_CALLS.get(operation or "")
    if base == "tool":
        return "RETRIEVER" if operation == "retrieval" else "TOOL"
    kind = step_type(event.get("event_type")) or "chain"
    if kind == "chain":
        kind = refined(kind, payload.bucket(event, "metadata").get("span_kind"))
    if kind == "chain" and operation in semconv.AGENT_OPERATIONS:
        kind = "agent"
    return STEP_TYPES[kind].openinference


def _add_chat(
    attributes: dict[str, Value],
    event: Event,
    inputs: bytes | None,
    outputs: bytes | None,
    changes: Changes,
) -> tuple[bytes | None, bytes | None]:
    """Set a model's messages; returns what of its inputs and outputs is not in them."""
    form: dict[str, Any] = {}
    if (plain := chat_payload.input_parts(inputs)) is not None:
        name, attributes["gen_ai.input.messages"] = plain
        inputs = None
        if name != "chat_history":
            form["inputs"] = name
    elif (chat := chat_payload.input_entries(inputs)) is not None:
        attributes["gen_ai.input.messages"] = _messages(chat, form, changes)
        inputs = orjson.dumps(chat.other_inputs) if chat.other_inputs else None
        if chat.other_inputs and (system := _instructions(chat.other_inputs)) is not None:
            attributes["gen_ai.system_instructions"] = system
    if outputs is not None and b'"role":' in outputs:
        answers = _answers(outputs, event, form, changes)
        if answers is not None:
            attributes["gen_ai.output.messages"] = answers
            outputs = None
    if form:
        attributes[CHAT] = _MESSAGES_FORM if form == _MESSAGES else orjson.dumps(form).decode()
    return inputs, outputs


def _messages(chat: chat_payload.Entries, form: dict[str, Any], changes: Changes) -> bytes:
    """The messages of a model's inputs, encoded."""
    if chat.name != "chat_history":
        form["inputs"] = chat.name
    layouts: dict[str, Layout] = {}
    for position, entry in enumerate(chat.entries):
        if entry.layout is not None:
            layouts[str(position)] = entry.layout
        if entry.changes:
            changes += moved(entry.changes, ("inputs", chat.name, position))
    if layouts:
        form["input"] = layouts
    return b"[%b]" % b",".join([entry.message for entry in chat.entries])


def _answers(outputs: bytes, event: Event, form: dict[str, Any], changes: Changes) -> bytes | None:
    """The messages of a model's outputs, encoded; None where they have none."""
    answer = _lone_answer(outputs, event, form, changes)
    if answer is None and (chat := chat_payload.output_chat(outputs)) is not None:
        return _several_answers(chat, event, form, changes)
    return answer


def _lone_answer(
    outputs: bytes, event: Event, form: dict[str, Any], changes: Changes
) -> bytes | None:
    """The message that is a model's outputs, encoded; None where they are anything else."""
    if not outputs.startswith(b"{") or b'"choices":' in outputs:
        return None
    if (entry := converted_entry(outputs)) is None:
        return None
    if entry.has_reason or not entry.is_message:
        return None
    if entry.layout is not None:
        form["output"] = {"0": entry.layout}
    if entry.changes:
        changes += moved(entry.changes, ("outputs",))
    default = "error" if event.get("error") is not None else "stop"
    if entry.has_calls:
        default = "tool_call"
    reason = _reason(model_call.finish_reasons(event), 0) or default
    return b'[%b,"finish_reason":%b}]' % (entry.message[:-1], orjson.dumps(reason))


def _by_conventions(
    chat: chat_payload.Chat, side: str, form: dict[str, Any]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The messages of a chat, and the entries that a reader has from them."""
    wholes: list[dict[str, Any]] = []
    entries: list[dict[str, Any]] = []
    layouts: dict[str, Layout] = {}
    for position, (entry, message) in enumerate(zip(chat.entries, chat.messages, strict=True)):
        whole, layout = message_of(entry, message)
        if layout is not None:
            layouts[str(position)] = layout
        wholes.append(whole)
        if "finish_reason" in whole:  # is of the answer, not of its message
            whole = {name: value for name, value in whole.items() if name != "finish_reason"}
        entries.append(entry_of(whole, layout))
    if layouts:
        form[side] = layouts
    return wholes, entries


def _several_answers(
    chat: chat_payload.Chat, event: Event, form: dict[str, Any], changes: Changes
) -> bytes:
    """Messages with the reason why each ended: Phoenix leaves out a message without one."""
    reasons = model_call.finish_reasons(event) or chat.finish_reasons
    default = "error" if event.get("error") is not None else "stop"
    wholes, entries = _by_conventions(chat, "output", form)
    if chat.name:
        form["outputs"] = chat.name
    differences(("outputs",), outputs_of(entries, chat.name), chat.whole, changes)
    messages = []
    for position, whole in enumerate(wholes):
        calls = any(part.get("type") == "tool_call" for part in whole["parts"] if part)
        own = whole.get("finish_reason")
        reason = _reason(reasons, position) or ("tool_call" if calls else default)
        messages.append({**whole, "finish_reason": own if isinstance(own, str) else reason})
    return orjson.dumps(messages)


def _reason(reasons: Sequence[str | None], position: int) -> str | None:
    reason = reasons[position] if position < len(reasons) else None
    return None if reason is None else semconv.FINISH_REASONS.get(reason, reason)


def _instructions(inputs: dict[str, Any]) -> bytes | None:
    """Instructions beside the chat (Anthropic, Responses, Gemini), as parts."""
    for name in _INSTRUCTIONS:
        value = inputs.get(name)
        if isinstance(value, str) and value:
            return orjson.dumps([{"type": "text", "content": value}])
        if isinstance(value, list) and value:
            return orjson.dumps([conforming(model_call.part(item)) for item in value])
    return None


def output_type(event: Event) -> str | None:
    """``gen_ai.output.type``, by the response format that was asked for."""
    parameters = payload.bucket(event, "config").get("hyperparameters")
    answer = parameters.get("response_format") if isinstance(parameters, dict) else None
    kind = answer.get("type") if isinstance(answer, dict) else answer
    if not isinstance(kind, str):
        return None
    return "json" if kind.startswith("json") else kind if kind in ("text", "image") else None
