"""Messages that a span carries as events, by the GenAI conventions up to 1.36 and those after.

Strands and Azure AI Inference write them so; log records of the same names are read the same way,
with their content in ``body``. Pure functions, no thread owns them. Invariant: an event that says
something else stays among the span's events.
"""

from __future__ import annotations

from typing import Any

from sessiontrace.wire.dialects.chat_shapes import messages_of, text_of
from sessiontrace.wire.dialects.draft import Draft
from sessiontrace.wire.logs.evaluation_reader import EVALUATION, scores_of
from sessiontrace.wire.received_span import Attributes
from sessiontrace.wire.value_tree import json_value, whole_json

__all__ = ["event_messages", "translate_events", "translate_records"]

Message = dict[str, Any]

_DETAILS = "gen_ai.client.inference.operation.details"
_ROLES = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}
_CHOICE = "gen_ai.choice"
_CONTENTS = {
    "gen_ai.content.prompt": "gen_ai.prompt",
    "gen_ai.content.completion": "gen_ai.completion",
}
_FIELDS = ("role", "content", "tool_calls", "name", "tool_call_id", "refusal")
_LISTS = ("gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions")


def translate_events(draft: Draft) -> None:
    """Offer the messages of the span's events; other events stay."""
    draft.span.events[:] = translate_records(draft, draft.span.events)


def translate_records(
    draft: Draft, records: list[tuple[str, Attributes]]
) -> list[tuple[str, Attributes]]:
    """Offer the messages of events, each a name and attributes; returns the others."""
    chat: list[Message] = []
    answers: list[Message] = []
    lists: dict[str, list[Any]] = {}
    others: list[tuple[str, Attributes]] = []
    for name, attributes in records:
        inputs, outputs = event_messages(name, attributes)
        chat += inputs
        answers += outputs
        if name == _DETAILS:
            _add_details(draft, _body(attributes), lists)
        elif name == EVALUATION:
            _offer_scores(draft, attributes)
        elif not inputs and not outputs:
            others.append((name, attributes))
    for name, messages in lists.items():
        draft.offer(name, messages)
    if draft.get("gen_ai.operation.name") == "execute_tool":
        _offer_tool(draft, chat, answers)
    else:
        draft.offer("gen_ai.input.messages", chat or None)
        draft.offer("gen_ai.output.messages", answers or None)
    return others


def event_messages(name: str, attributes: Attributes) -> tuple[list[Message], list[Message]]:
    """What an event adds to a model's chat, and to its answers; both empty for other events."""
    if name in _ROLES:
        return _messages(attributes, _ROLES[name]), []
    if name == _CHOICE:
        return [], _choices(attributes)
    content = attributes.get(_CONTENTS.get(name, ""))
    if content is None:
        return [], []
    if name.endswith("prompt"):
        return _messages({"content": content}, "user"), []
    return [], _messages({"content": content}, "assistant")


def _body(attributes: Attributes) -> Attributes:
    """The fields of an event: its attributes, and what its body or its content holds beside."""
    fields = dict(attributes)
    for name in ("gen_ai.event.content", "body"):
        inner = json_value(fields.pop(name, None))
        if isinstance(inner, dict):
            fields.update(inner)
        elif inner is not None:
            fields.setdefault("content", inner)
    return fields


def _messages(attributes: Attributes, role: str) -> list[Message]:
    fields = _body(attributes)
    message = {name: json_value(fields[name]) for name in _FIELDS if name in fields}
    message.setdefault("role", role)
    if role == "tool" and "id" in fields:
        message.setdefault("tool_call_id", fields["id"])
    content = message.get("content")
    if isinstance(content, dict) and ("parts" in content or "role" in content):  # Gemini's
        return messages_of({**content, "role": content.get("role") or role}, role)
    return messages_of(message, role)


def _choices(attributes: Attributes) -> list[Message]:
    fields = _body(attributes)
    message = json_value(fields.get("message", fields.get("content")))
    if isinstance(message, dict):
        answers = messages_of({"role": "assistant", **message}, "assistant")
    else:
        answers = messages_of({"role": "assistant", "content": message}, "assistant")
    calls = json_value(fields.get("tool_calls"))
    if isinstance(calls, list) and answers and "tool_calls" not in answers[-1]:
        answers = messages_of({**answers[-1], "tool_calls": calls}, "assistant")
    reason = fields.get("finish_reason")
    if answers and isinstance(reason, str):
        answers[-1]["finish_reason"] = reason
    results = json_value(fields.get("tool.result"))  # Strands' events of a cycle
    return answers + (messages_of({"role": "tool", "content": results}, "tool") if results else [])


def _add_details(draft: Draft, fields: Attributes, lists: dict[str, list[Any]]) -> None:
    for name, value in fields.items():
        items = json_value(value) if name in _LISTS else None
        if isinstance(items, list):
            lists.setdefault(name, []).extend(items)
        elif name.startswith("gen_ai."):
            draft.offer(name, value)


def _offer_scores(draft: Draft, attributes: Attributes) -> None:
    for part, entries in scores_of(attributes).items():
        for name, value in entries.items():
            draft.offer(f"sessiontrace.{part}.{name}", value)


def _offer_tool(draft: Draft, chat: list[Message], answers: list[Message]) -> None:
    """Offer a tool's arguments, in its message, and its result, in its choice."""
    if chat:
        draft.offer("gen_ai.tool.call.arguments", whole_json(chat[-1].get("content")))
    if answers:
        result = answers[-1].get("content")
        text = text_of(result)
        draft.offer("gen_ai.tool.call.result", result if text is None else text)
