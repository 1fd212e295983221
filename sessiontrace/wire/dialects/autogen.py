"""AutoGen's spans: of its agents, and of the runtime that carries their messages.

Pure functions over a draft, no thread owns them. Source: ``autogen_core/_telemetry`` and
``autogen_agentchat/teams`` 0.7. Invariant: a message stays whole, with the fields that a chat has
no place for beside those that it has.
"""

from __future__ import annotations

import re
from typing import Any

from sessiontrace.wire.dialects.draft import Dialect, Draft
from sessiontrace.wire.value_tree import whole_json

__all__ = ["AUTOGEN"]

_UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_TEAM = re.compile(rf"\.\(({_UUID})\)-[AT]$")
_IDS = re.compile(rf"_{_UUID}|\.\([^()]*\)-[AT]$")


def _translate_autogen(draft: Draft) -> None:
    """A team's messages are traces of their own, which its topics and agents hold together."""
    message = whole_json(draft.get("message"))
    if isinstance(message, dict):
        chat = _chat(message)
        field = "input.value" if chat is None else "gen_ai.input.messages"
        if draft.offer(field, message if chat is None else chat):
            draft.take("message")
    span = draft.span
    destination = draft.get("messaging.destination")
    if isinstance(destination, str) and (team := _TEAM.search(destination)):
        draft.offer("gen_ai.conversation.id", team[1])
    elif span.name == "autogen ack" and len(span.links) == 1:  # it has no destination
        span.trace_id, span.parent_id = span.links[0]["trace_id"], span.links[0]["span_id"]
    if draft.get("gen_ai.operation.name") == "invoke_agent":
        draft.offer("session.name", draft.get("gen_ai.agent.name"))
    elif span.name.startswith("autogen "):  # its destination has the ids
        span.name = _IDS.sub("", span.name.removeprefix("autogen "))


def _chat(message: dict[str, Any]) -> list[dict[str, Any]] | None:
    """The chat in what a team's member was sent; None for the messages of any other program."""
    response = message.get("response")
    if isinstance(response, dict):  # an agent's turn, with what it did before its answer
        inner = response.get("inner_messages")
        entries = [*(inner if isinstance(inner, list) else ()), response.get("chat_message")]
        beside = {*message} - {"response", "name"}
    elif isinstance(message.get("messages"), list):
        entries, beside = message["messages"], {*message} - {"messages", "output_task_messages"}
    else:
        entries, beside = [message.get("message")], {*message} - {"message"}
    chat = [line for entry in entries for line in _lines(entry)]
    is_whole = not beside and all(isinstance(entry, dict) for entry in entries)
    return chat if chat and is_whole else None


def _lines(entry: Any) -> list[dict[str, Any]]:
    """A message of AutoGen as lines of a chat; none where it is not one."""
    if not isinstance(entry, dict) or not {"source", "content", "type"} <= entry.keys():
        return []
    source, content = entry["source"], entry["content"]
    beside = {
        name: value
        for name, value in entry.items()
        if name not in ("source", "content") and value not in (None, {}, [])
    }
    items = content if isinstance(content, list) else []
    if not items or not all(isinstance(item, dict) for item in items):
        role = "user" if source == "user" else "assistant"
        return [{"role": role, "content": content, "name": source, **beside}]
    if all("arguments" in item for item in items):
        calls = [
            {
                "id": item.get("id"),
                "type": "function",
                "function": {"name": item.get("name"), "arguments": item["arguments"]},
            }
            for item in items
        ]
        line = {"role": "assistant", "content": None, "name": source, **beside}
        return [{**line, "tool_calls": calls}]
    if all("call_id" in item for item in items):
        return [
            {
                "role": "tool",
                "content": item.get("content"),
                "tool_call_id": item["call_id"],
                "name": item.get("name"),
                **({"is_error": True} if item.get("is_error") else {}),
            }
            for item in items
        ]
    return [{"role": "assistant", "content": content, "name": source, **beside}]


AUTOGEN = Dialect(frozenset(), _translate_autogen)
