"""Logfire's spans and those of Pydantic AI, which Logfire's page shows.

Pure functions over a draft, no thread owns them. Logfire names a span by a template and has the
filled-in message beside; an agent of Pydantic AI has its whole history under a name of its own, and
the result beside it. Source: ``logfire._internal.constants``, ``pydantic_ai.models.instrumented``.
"""

from __future__ import annotations

from typing import Any

from sessiontrace.wire.dialects.calls import (
    offer_inputs,
    offer_outputs,
    offer_parameters,
    offer_usage,
)
from sessiontrace.wire.dialects.chat_shapes import joined
from sessiontrace.wire.dialects.draft import Dialect, Draft
from sessiontrace.wire.dialects.span_events import translate_records
from sessiontrace.wire.value_tree import json_value

__all__ = ["LOGFIRE"]

_HISTORY = "pydantic_ai.all_messages"
_NEW_INDEX = "pydantic_ai.new_message_index"
_RESULT = "final_result"
_CHATS = ("messages", "contents", "prompt", "input")
_ANSWER, _CHOICE = "gen_ai.assistant.message", "gen_ai.choice"
_LOG, _PENDING = "log", "pending_span"
_IN_FIELDS = frozenset({"id", "model", "output", "usage", "instructions", "tools", "error"})
_NOTES = ("logfire.json_schema", "logfire.msg_template")
_TYPE = "logfire.span_type"
_NAMES = {
    "agent_name": "gen_ai.agent.name",
    "model_name": "gen_ai.request.model",
    "tool_arguments": "gen_ai.tool.call.arguments",
    "tool_response": "gen_ai.tool.call.result",
    "logfire.tags": "tag.tags",
    "gen_ai.usage.details.reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.usage.details.cache_read_tokens": "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.details.cache_write_tokens": "gen_ai.usage.cache_write.input_tokens",
}
_KINDS_OF_AGENTS = {"Function: ": "TOOL", "Agent run: ": "AGENT"}
"""Templates of the spans of OpenAI Agents, which all name a provider."""
_SCRUBBED = "[Scrubbed due to "
_IDS = ("session.id", "user.id", "gen_ai.conversation.id")


def _translate(draft: Draft) -> None:
    if draft.get(_TYPE) == _PENDING:  # its own span repeats all that it says
        of_session = {name: draft.get(name) for name in _IDS if name in draft.attributes}
        draft.attributes = {_TYPE: _PENDING, **of_session}
        return
    if draft.span.scope == "logfire.openai_agents":
        _translate_agents(draft, str(draft.get("logfire.msg_template") or draft.span.name))
    for name in _NOTES:
        draft.take(name)
    for name in _IDS:  # Logfire takes "session" for a secret; all sessions would have one id
        if str(draft.get(name) or "").startswith(_SCRUBBED):
            draft.take(name)
    message = draft.take("logfire.msg")
    if isinstance(message, str) and message and draft.get("gen_ai.operation.name") is None:
        draft.span.name = message
    draft.rename(_NAMES)
    if isinstance(metrics := json_value(draft.get("logfire.metrics")), dict):  # a text of JSON
        draft.attributes["logfire.metrics"] = metrics
    _translate_history(draft)
    for name in ("events", "all_messages_events"):  # Pydantic AI's first format
        events = json_value(draft.get(name))
        if isinstance(events, list) and all(isinstance(event, dict) for event in events):
            draft.take(name)
            if draft.span.scope.startswith("logfire.openai"):
                events = _with_choice(events)
            translate_records(draft, [(str(event.get("event.name")), event) for event in events])
    _translate_bodies(draft)
    _translate_times(draft)


def _with_choice(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The events of a call of the Responses API, whose answer is the last message of its chat."""
    names = [event.get("event.name") for event in events]
    end = len(events)
    while end and names[end - 1] == _ANSWER:
        end -= 1
    if end == len(events) or _CHOICE in names:
        return events
    messages = [{k: v for k, v in event.items() if k != "event.name"} for event in events[end:]]
    message = joined(messages) if len(messages) > 1 else messages[0]
    return [*events[:end], {"event.name": _CHOICE, "index": 0, "message": message}]


def _translate_times(draft: Draft) -> None:
    """Let the record of a stream begin where the application began to read it."""
    if draft.take(_TYPE) != _LOG or not draft.is_model:
        return
    draft.attributes[_TYPE] = _LOG
    duration, end = draft.get("duration"), draft.span.end_ns  # seconds
    if isinstance(duration, (int, float)) and 0 <= duration * 10**9 < end:
        draft.take("duration")
        draft.span.start_ns = end - int(duration * 10**9)


def _translate_agents(draft: Draft, template: str) -> None:
    """Offer what a span of OpenAI Agents is, and its input and output.

    Its ``request_data`` and its events have the answer within the chat.
    """
    is_model = draft.get("gen_ai.request.model") is not None
    if is_model:
        draft.offer("gen_ai.operation.name", "chat")
        draft.take("request_data")
        draft.take("events")
    else:
        starts = (kind for start, kind in _KINDS_OF_AGENTS.items() if template.startswith(start))
        kind = next(starts, "CHAIN")
        draft.offer("openinference.span.kind", kind)
        if kind != "CHAIN":
            draft.rename({"name": "tool.name" if kind == "TOOL" else "agent.name"})
        elif (agent := draft.take("agent_name")) is not None:  # whose turn it is
            draft.offer_metadata({"agent_name": agent})
    reply = json_value(draft.get("response")) if is_model else None
    if isinstance(reply, dict):  # of OpenAI's Responses API
        draft.take("response")
        request = {
            "instructions": reply.get("instructions"),
            "input": json_value(draft.take("raw_input")),
        }
        offer_inputs(draft, {name: value for name, value in request.items() if value})
        offer_outputs(draft, reply)
        draft.offer("gen_ai.tool.definitions", reply.get("tools") or None)
        draft.offer_metadata({"response": _beside(reply)})
    offer_inputs(draft, draft.take("input"))
    offer_outputs(draft, draft.take("output"))
    if is_model:
        offer_usage(draft, draft.take("usage"))


def _beside(reply: dict[str, Any]) -> dict[str, Any]:
    """What a reply says beyond its answer and counts."""
    return {name: value for name, value in reply.items() if value and name not in _IN_FIELDS}


def _translate_history(draft: Draft) -> None:
    history = json_value(draft.get(_HISTORY))
    if isinstance(history, list):
        draft.take(_HISTORY)
        new = draft.take(_NEW_INDEX)
        question, answer = _split(history, new if isinstance(new, int) else 0)
        draft.offer("gen_ai.input.messages", question)
        if _RESULT not in draft.attributes:
            draft.offer("gen_ai.output.messages", answer or None)
    draft.rename({_RESULT: "output.value"})


def _split(history: list[Any], new: int) -> tuple[list[Any], list[Any]]:
    """What the agent was given, and its last answer; ``new``: where this run's messages begin.

    Pydantic AI counts the instructions and the question, which are two messages here, as one.
    """
    new = _position(history, new)
    end = next(
        (
            index
            for index, entry in enumerate(history)
            if index >= new and isinstance(entry, dict) and entry.get("role") == "assistant"
        ),
        len(history),
    )
    last = history[-1] if end < len(history) else None
    return history[:end], [last] if isinstance(last, dict) else []


def _position(history: list[Any], new: int) -> int:
    """Where the requests and answers from number ``new`` on begin; an answer is one message."""
    number, was_answer = -1, True
    for index, entry in enumerate(history):
        is_answer = isinstance(entry, dict) and entry.get("role") == "assistant"
        number += is_answer or was_answer
        was_answer = is_answer
        if number == new:
            return index
    return len(history)


def _translate_bodies(draft: Draft) -> None:
    """Offer the bodies of a request and a reply, which Logfire's own integrations record."""
    request, reply = json_value(draft.get("request_data")), json_value(draft.get("response_data"))
    if not isinstance(request, dict):
        return
    if draft.get("gen_ai.operation.name") is None and not ("messages" in request or reply):
        return
    if draft.get("gen_ai.operation.name") is None:
        draft.offer("gen_ai.operation.name", "chat")
    draft.take("request_data")
    if draft.is_model and request.keys().isdisjoint(_CHATS):  # the chat is elsewhere, or left out
        offer_parameters(draft, request)
    else:
        offer_inputs(draft, request)
    if isinstance(reply, dict):
        draft.take("response_data")
        text = reply.get("combined_chunk_content")
        offer_outputs(draft, {**reply, "text": text} if isinstance(text, str) else reply)


LOGFIRE = Dialect(
    frozenset({"logfire", "pydantic_ai", "all_messages_events", "model_request_parameters"}),
    _translate,
)
