"""Entries of a chat as messages of OTel's GenAI conventions, and back.

Pure functions, no thread owns them. Libraries write the same message in many forms, and the
conventions have one. A *layout* says which form an entry had; most have none. Invariant:
``entry_of`` gives back what ``message_of`` was given, but for fields that the conventions have no
place for: ``changes`` holds those.
"""

from __future__ import annotations

from typing import Any

import orjson

from sessiontrace.wire import model_call
from sessiontrace.wire.roundtrip.part_rules import conforming, original

__all__ = ["Layout", "entry_of", "message_of", "outputs_of"]

Message = dict[str, Any]
Layout = Any
"""None, the name of a form, or ``[first, end, texts]``: the parts of a content that was a list, and
those among them that were texts alone."""

_VERBATIM, _GEMINI = "parts", "gemini"
_CALL, _ANSWER = "function_call", "function_call_output"


def message_of(entry: Any, message: Message) -> tuple[Message, Layout]:
    """An entry of a chat as ``{role, parts}``, and its layout.

    ``message``: the entry as ``model_call.messages`` has it.
    """
    whole, layout = _message_of(entry, message)
    if not isinstance(whole.get("name"), (str, type(None))):
        whole = {field: value for field, value in whole.items() if field != "name"}
    return {**whole, "parts": [conforming(part) for part in whole["parts"]]}, layout


def _message_of(entry: Any, message: Message) -> tuple[Message, Layout]:
    if isinstance(entry.get("parts"), list):
        parts = entry["parts"]
        if all(isinstance(part, dict) and isinstance(part.get("type"), str) for part in parts):
            return model_call.parts(message), _VERBATIM
        return {**model_call.parts(message), "parts": [_gemini(part) for part in parts]}, _GEMINI
    whole = model_call.parts(message)
    if entry is not message:  # an item of OpenAI's Responses API
        return whole, entry["type"]
    content = entry.get("content")
    if isinstance(content, list) and entry.get("role") != "tool":
        first = 1 if entry.get("reasoning") else 0
        texts = [at for at, item in enumerate(content) if isinstance(item, str)]
        layout = [first, first + len(content)]
        return whole, [*layout, texts] if texts else layout
    return whole, None


def entry_of(message: Message, layout: Layout) -> Message:
    """The entry that ``message_of`` made this message of."""
    parts = message.get("parts")
    if not isinstance(parts, list):
        return message
    parts = [original(part) for part in parts]
    if layout == _VERBATIM:
        return {**message, "parts": parts}
    if layout == _GEMINI:
        return {"role": message.get("role"), "parts": [_ungemini(part) for part in parts]}
    if layout in (_CALL, _ANSWER):
        return _item(parts[0] if parts and isinstance(parts[0], dict) else {}, layout)
    entry: Message = {"role": message.get("role")}
    if "name" in message:
        entry["name"] = message["name"]
    if isinstance(layout, list):
        first, end, *texts = layout
        content = parts[first:end]
        entry["content"] = [
            part.get("content") if texts and at in texts[0] else _content(part)
            for at, part in enumerate(content)
        ]
        parts = [*parts[:first], *parts[end:]]
    for part in parts:
        _add(entry, part if isinstance(part, dict) else {})
    entry.setdefault("content", None)
    return entry


def outputs_of(entries: list[Message], form: Any) -> Any:
    """The outputs of these answers; ``form``: "choices", "messages", or neither for one answer."""
    if form == "choices":
        return {"choices": [{"message": entry} for entry in entries]}
    return entries[0] if form != "messages" and len(entries) == 1 else {"choices": entries}


def _add(entry: Message, part: Message) -> None:
    kind = part.get("type")
    if kind == "tool_call":
        entry.setdefault("tool_calls", []).append(_call(part))
    elif kind == "tool_call_response":
        if "id" in part:
            entry["tool_call_id"] = part["id"]
        entry["content"] = part.get("response")
    elif kind == "reasoning":
        entry["reasoning"] = part.get("content")
    else:
        entry["content"] = part.get("content")


def _call(part: Message) -> Message:
    function = {"name": part.get("name"), "arguments": _text_of(part.get("arguments"))}
    return {"id": part.get("id"), "type": "function", "function": function}


def _text_of(arguments: Any) -> Any:
    """Arguments as chat APIs have them: a JSON text."""
    return arguments if isinstance(arguments, str) else orjson.dumps(arguments).decode()


def _item(part: Message, kind: str) -> Message:
    if kind == _ANSWER:
        return {"type": kind, "call_id": part.get("id"), "output": part.get("response")}
    return {
        "type": kind,
        "call_id": part.get("id"),
        "name": part.get("name"),
        "arguments": _text_of(part.get("arguments")),
    }


def _content(part: Any) -> Any:
    """A part of a content that was a list, as ``model_call.part`` was given it."""
    kind = part.get("type") if isinstance(part, dict) else None
    if kind == "text" and "content" in part:
        return {"type": "text", "text": part["content"]}
    if kind == "tool_call":
        call = {"id": part.get("id"), "name": part.get("name")}
        return {"type": "tool_use", **call, "input": part.get("arguments")}
    if kind == "tool_call_response":
        answer = {"tool_use_id": part.get("id"), "content": part.get("response")}
        return {"type": "tool_result", **answer}
    if kind == "reasoning" and "content" in part:
        beside = {"signature": part["signature"]} if "signature" in part else {}
        return {"type": "thinking", "thinking": part["content"], **beside}
    if kind == "file" and part.get("modality") == "document":
        return {"type": "file", "file": {"file_id": part.get("file_id")}}
    if kind == "uri" and part.get("modality") == "image":
        return {"type": "image_url", "image_url": {"url": part.get("uri")}}
    return part


# -- Gemini's parts -------------------------------------------------------------------------


def _gemini(part: Any) -> Message:
    if not isinstance(part, dict):
        return model_call.part(part)
    if isinstance(part.get("text"), str):
        return {"type": "text", "content": part["text"]}
    call, answer = part.get("function_call"), part.get("function_response")
    if isinstance(call, dict) and isinstance(call.get("name"), str):
        identity = {"id": call["id"]} if isinstance(call.get("id"), str) else {}
        return {
            "type": "tool_call", **identity, "name": call["name"], "arguments": call.get("args"),
        }  # fmt: skip
    if isinstance(answer, dict):
        return {"type": "tool_call_response", "response": answer.get("response")}
    kind = next((name for name in part if name not in ("thought", "thought_signature")), "part")
    return {"type": kind, **part}


def _ungemini(part: Any) -> Any:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind == "text":
        return {"text": part.get("content")}
    if kind == "tool_call":
        call = {name: part[name] for name in ("id", "name") if name in part}
        return {"function_call": {**call, "args": part.get("arguments")}}
    if kind == "tool_call_response":
        return {"function_response": {"response": part.get("response")}}
    if isinstance(part, dict):
        return {name: value for name, value in part.items() if name != "type"}
    return part
