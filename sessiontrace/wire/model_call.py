"""A decoded model call as its operation, the chat it was given and the messages it answered with.

Pure functions, no thread owns them. Libraries record chats in several shapes; every vendor needs
the same views of them. Invariant: for any inputs and outputs these return messages or None, and
never raise.
"""

from __future__ import annotations

from typing import Any

import orjson

from sessiontrace.model.step_types import STEP_TYPES, base_type, step_type
from sessiontrace.wire.semconv import OPERATIONS

__all__ = [
    "as_message",
    "choices",
    "choices_of",
    "finish_reasons",
    "messages",
    "messages_of",
    "named_messages",
    "operation",
    "part",
    "parts",
    "reasons_of_choices",
]

_KINDS_OF_CALL = {
    "embedding": "embeddings",
    "embeddings": "embeddings",
    "text": "text_completion",
    "text_completion": "text_completion",
    "images": "generate_content",
    "speech": "generate_content",
    "transcription": "generate_content",
    "translation": "generate_content",
    "rerank": "rerank",
    "moderation": "moderation",
    "classification": "classification",
    "decisions": "decision",
    "ocr": "ocr",
}
"""``config.type`` of calls that are no chats, as ``gen_ai.operation.name``."""


def operation(event: dict[str, Any]) -> str | None:
    """``gen_ai.operation.name`` for an event; None for a plain chain."""
    kind = event.get("event_type")
    metadata = event.get("metadata")
    if isinstance(metadata, dict):
        stated = metadata.get("operation")
        own = OPERATIONS.get(stated) if isinstance(stated, str) else None
        if own is not None and kind in (own, base_type(own)):
            return str(stated)
    if kind == "chain" or kind is None:
        return "invoke_agent" if isinstance(metadata, dict) and _is_agent(metadata) else None
    if kind != "model":
        return None if step_type(kind) is None else STEP_TYPES[kind].operation
    config = event.get("config")
    call_type = config.get("type") if isinstance(config, dict) else None
    return _KINDS_OF_CALL.get(call_type, "chat") if isinstance(call_type, str) else "chat"


def _is_agent(metadata: dict[str, Any]) -> bool:
    return isinstance(metadata.get("agent_name"), str)


def messages(event: dict[str, Any]) -> list[dict[str, Any]] | None:
    """The chat a model was given, ``[{role, content, ...}]``; None where inputs are not a chat."""
    return named_messages(event)[1]


def named_messages(event: dict[str, Any]) -> tuple[str, list[dict[str, Any]] | None]:
    """The entry of the inputs that has the chat, and the chat as ``messages`` gives it."""
    inputs = event.get("inputs")
    if not isinstance(inputs, dict):
        return "", None
    for name in ("chat_history", "messages"):
        entries = inputs.get(name)
        if isinstance(entries, list) and entries:
            chat = [as_message(entry) for entry in entries]
            if all(chat):
                return name, [entry for entry in chat if entry]
    return "", None


def as_message(value: Any) -> dict[str, Any] | None:
    """A message of a chat; an item of OpenAI's Responses API becomes a message. None: neither."""
    if _is_message(value):
        message: dict[str, Any] = value
        return message
    kind = value.get("type") if isinstance(value, dict) else None
    if kind == "function_call":
        function = {"name": value.get("name"), "arguments": value.get("arguments")}
        call = {"id": value.get("call_id"), "type": "function", "function": function}
        return {"role": "assistant", "content": None, "tool_calls": [call]}
    if kind == "function_call_output":
        answer = value.get("output")
        return {"role": "tool", "tool_call_id": value.get("call_id"), "content": answer}
    return None


def messages_of(event: dict[str, Any]) -> list[dict[str, Any]]:
    """The chat a model was given, or its inputs as one message by the user."""
    inputs = event.get("inputs")
    return messages(event) or ([{"role": "user", "content": _text(inputs)}] if inputs else [])


def choices(event: dict[str, Any]) -> list[dict[str, Any]] | None:
    """The messages a model answered with; None when its outputs are not messages."""
    outputs = event.get("outputs")
    if not isinstance(outputs, dict):
        return None
    if _is_message(outputs):
        return [outputs]
    entries = outputs.get("choices")
    if not isinstance(entries, list) or not entries:
        return None
    answers = [
        entry["message"] if isinstance(entry, dict) and _is_message(entry.get("message")) else entry
        for entry in entries
    ]
    return answers if all(_is_message(entry) for entry in answers) else None


def choices_of(event: dict[str, Any]) -> list[dict[str, Any]]:
    """The messages a model answered with, or its outputs as one message by the assistant."""
    answers = choices(event)
    outputs = event.get("outputs")
    if answers is not None or not outputs:
        return answers or []
    if isinstance(outputs, dict):
        for name in ("result", "text", "content"):
            if isinstance(outputs.get(name), str):
                return [{"role": "assistant", "content": outputs[name]}]
    return [{"role": "assistant", "content": _text(outputs)}]


def reasons_of_choices(event: dict[str, Any]) -> list[str | None]:
    """The reason that each of the choices in the outputs has beside its message."""
    outputs = event.get("outputs")
    entries = outputs.get("choices") if isinstance(outputs, dict) else None
    reasons = [
        entry.get("finish_reason") if isinstance(entry, dict) else None for entry in entries or ()
    ]
    return [reason if isinstance(reason, str) else None for reason in reasons]


def finish_reasons(event: dict[str, Any]) -> list[str]:
    """Why a model stopped, one reason for each choice."""
    metadata = event.get("metadata")
    value = metadata.get("finish_reason") if isinstance(metadata, dict) else None
    reasons = value if isinstance(value, list) else [] if value is None else [value]
    return [str(reason) for reason in reasons]


def parts(message: dict[str, Any]) -> dict[str, Any]:
    """A message in the form of OTel's GenAI conventions: ``{role, parts: [...]}``."""
    if isinstance(message.get("parts"), list):
        return message
    message_parts: list[dict[str, Any]] = []
    content = message.get("content")
    if message.get("reasoning"):
        message_parts.append({"type": "reasoning", "content": _text(message["reasoning"])})
    if message.get("role") == "tool":
        answer = {"type": "tool_call_response", "response": content}
        if "tool_call_id" in message:
            answer["id"] = message["tool_call_id"]
        message_parts.append(answer)
    elif isinstance(content, list):
        message_parts.extend(part(item) for item in content)
    elif content is not None:
        message_parts.append({"type": "text", "content": _text(content)})
    calls = message.get("tool_calls")
    message_parts.extend(_tool_call(item) for item in (calls if isinstance(calls, list) else ()))
    whole = {"role": str(message.get("role", "user")), "parts": message_parts}
    if isinstance(message.get("name"), str):
        whole["name"] = message["name"]
    return whole


def part(item: Any) -> dict[str, Any]:
    """One part of a message's content, from OpenAI's, Responses' or Anthropic's form."""
    kind = item.get("type") if isinstance(item, dict) else None
    if kind in ("text", "input_text", "output_text") and isinstance(item.get("text"), str):
        return {"type": "text", "content": item["text"]}
    if kind == "tool_use":
        call = {"id": item.get("id"), "name": item.get("name"), "arguments": item.get("input")}
        return {"type": "tool_call", **call}
    if kind == "tool_result":
        answer = {"id": item.get("tool_use_id"), "response": item.get("content")}
        return {"type": "tool_call_response", **answer}
    if kind == "thinking" and isinstance(item.get("thinking"), str):
        beside = {name: item[name] for name in ("signature",) if name in item}
        return {"type": "reasoning", "content": item["thinking"], **beside}
    if (address := _image_address(item)) is not None:
        return {"type": "uri", "modality": "image", "uri": address}
    if (file_id := _file_id(item)) is not None:
        return {"type": "file", "modality": "document", "file_id": file_id}
    if isinstance(kind, str):
        whole: dict[str, Any] = item
        return whole
    return {"type": "text", "content": _text(item)}


def _image_address(item: Any) -> str | None:
    """The address of an image that a message points to; None for any other part."""
    if not isinstance(item, dict) or item.get("type") not in ("image_url", "input_image", "image"):
        return None
    place = item.get("image_url") or item.get("source")
    address = place.get("url") if isinstance(place, dict) else place
    return address if isinstance(address, str) and address.startswith("http") else None


def _file_id(item: Any) -> str | None:
    """The id of an uploaded file that a message points to; None for any other part."""
    if not isinstance(item, dict) or item.get("type") not in ("file", "input_file"):
        return None
    place = item.get("file")
    file_id = (place if isinstance(place, dict) else item).get("file_id")
    return file_id if isinstance(file_id, str) else None


def _tool_call(call: Any) -> dict[str, Any]:
    if not isinstance(call, dict):
        return {"type": "tool_call", "name": _text(call)}
    function = call.get("function")
    function_call = function if isinstance(function, dict) else call
    arguments = function_call.get("arguments")
    if isinstance(arguments, str):
        try:
            arguments = orjson.loads(arguments)
        except orjson.JSONDecodeError:  # a stream that broke off in the middle
            pass
    call = {"type": "tool_call", "id": call.get("id"), "name": function_call.get("name")}
    return {**{k: v for k, v in call.items() if v is not None}, "arguments": arguments}


def _is_message(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("role"), str)
        and not value.keys().isdisjoint(("content", "tool_calls", "parts", "tool_call"))
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
