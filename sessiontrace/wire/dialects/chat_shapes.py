"""Chats and answers of every library's shape, read as ``{role, content, tool_calls?}``.

Pure functions, no thread owns them. They read the bodies of OpenAI's, Anthropic's, Gemini's and
Bedrock's APIs, and the messages of LangChain and of Vercel's AI SDK. Invariant: a field or a part
without a rule stays as it is; None means that a value is not a chat, and nothing raises.
"""

from __future__ import annotations

from typing import Any

from sessiontrace.wire.value_tree import whole_json

__all__ = [
    "answers_of",
    "chat_of",
    "is_item",
    "joined",
    "messages_of",
    "plain_messages",
    "role_of",
    "text_of",
]

Message = dict[str, Any]

_ROLES = {
    "human": "user",
    "HumanMessage": "user",
    "HumanMessageChunk": "user",
    "ai": "assistant",
    "AIMessage": "assistant",
    "AIMessageChunk": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "system": "system",
    "SystemMessage": "system",
    "tool": "tool",
    "ToolMessage": "tool",
    "function": "tool",
    "tool-call": "assistant",  # of smolagents, as texts
    "tool-response": "tool",
}
_CHAT_ROLES = frozenset(_ROLES.values())
_CHATS = ("messages", "contents", "chat_history", "input", "inputs")
_SYSTEMS = ("system", "instructions", "system_instruction", "systemInstruction")
_TEXTS = frozenset({"text", "input_text", "output_text"})
_CALLS = frozenset(
    {
        "tool-call",
        "tool_use",
        "tool_call",
        "function_call",
        "toolUse",
        "functionCall",
        "toolRequest",
    }
)
_RESULTS = frozenset(
    {
        "tool-result",
        "tool_result",
        "tool_call_response",
        "function_call_output",
        "toolResult",
        "functionResponse",
        "function_response",
        "tool_call_result",
        "toolResponse",
    }
)
_KEYED = (
    "toolUse", "toolResult", "functionCall", "function_call", "functionResponse",
    "function_response", "reasoningContent", "tool_call", "tool_call_result", "reasoning",
    "toolRequest", "toolResponse",
)  # fmt: skip
"""Parts that Bedrock, Gemini and Haystack name by their key."""
_THOUGHTS = frozenset({"reasoning", "thinking", "reasoningContent"})
_ITEMS = _CALLS | _RESULTS | _THOUGHTS
_CONVENTIONAL = frozenset({"tool_call", "tool_call_response", "reasoning"})
_OF_REPLY = frozenset({"id", "model", "usage", "type", "stop_sequence", "stop_reason"})
"""Fields of Anthropic's replies, whose other fields are a message, that are about the call."""
_OF_THE_CALL = ("response_metadata", "usage_metadata", "meta")
"""Fields of LangChain's and Haystack's messages that the event of the model call has already."""


def chat_of(value: Any) -> list[Message] | None:
    """The chat in what a model was given: a list of messages, or the body of a request."""
    value = whole_json(value)
    if isinstance(value, list):
        if value and all(isinstance(item, list) for item in value):  # LangChain's batches
            value = [message for batch in value for message in batch]
        if not value or not all(_is_message(item) for item in value):
            return None
        return [message for item in value for message in messages_of(item, "user")]
    if not isinstance(value, dict):
        return None
    chat = next((chat for name in _CHATS if (chat := chat_of(value.get(name)))), None)
    if chat is None:
        prompt = value.get("prompt") or value.get("input")
        chat = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else None
    system = _system(value)
    return chat if chat is None or system is None else [system, *chat]


def _system(body: Message) -> Message | None:
    config = body.get("config")
    for place in (body, config if isinstance(config, dict) else {}):
        for name in _SYSTEMS:
            if (value := place.get(name)) and (text := text_of(value)) is not None:
                return {"role": "system", "content": text}
    return None


def answers_of(value: Any) -> list[Message] | None:
    """The messages in what a model answered: a text, messages, or the body of a reply."""
    value = whole_json(value)
    if isinstance(value, str):
        return [{"role": "assistant", "content": value}] if value else None
    if isinstance(value, list):
        if (
            len(value) == 1
            and isinstance(value[0], dict)
            and isinstance(value[0].get("output"), list)
        ):
            return answers_of(value[0])  # a stream's reply, as OpenAI's agents hold it
        if not value or not all(_is_message(item) for item in value):
            return None
        return [message for item in value for message in messages_of(item, "assistant")]
    if not isinstance(value, dict):
        return None
    for name in ("choices", "candidates", "generations"):
        if isinstance(entries := value.get(name), list) and entries:
            return [answer for entry in entries for answer in _choice(entry)] or None
    if isinstance(output := value.get("output"), list):
        return _joined(output)
    for name in ("message", "content"):
        if isinstance(inner := value.get(name), dict) and (_is_message(inner) or "parts" in inner):
            return _choice(value)
    if _is_message(value):
        message = {name: item for name, item in value.items() if name not in _OF_REPLY}
        return _ended(messages_of(message if "usage" in value else value, "assistant"), value)
    text = value.get("text")
    return [{"role": "assistant", "content": text}] if isinstance(text, str) else None


def _choice(entry: Any) -> list[Message]:
    """The messages of one choice, candidate or generation."""
    if isinstance(entry, list):
        return [answer for inner in entry for answer in _choice(inner)]
    if not isinstance(entry, dict):
        return []
    for name in ("message", "content"):
        if isinstance(inner := entry.get(name), dict):
            return _ended(messages_of(inner, "assistant"), entry)
    if isinstance(text := entry.get("text"), str):
        return _ended([{"role": "assistant", "content": text}], entry)
    return messages_of(entry, "assistant") if _is_message(entry) else []


def _ended(answers: list[Message], entry: Message) -> list[Message]:
    info = entry.get("generation_info")
    places = (entry, info if isinstance(info, dict) else {})
    for place in places:
        for name in ("finish_reason", "finishReason", "stop_reason"):
            reason = place.get(name)
            if isinstance(reason, str) and answers:
                answers[-1].pop(name, None)
                answers[-1].setdefault("finish_reason", reason)
                return answers
    return answers


def _joined(items: list[Any]) -> list[Message] | None:
    """The items of OpenAI's Responses API as the one message that they are."""
    answers = [
        answer for item in items if _is_message(item) for answer in messages_of(item, "assistant")
    ]
    return [joined(answers)] if answers else None


def joined(answers: list[Message]) -> Message:
    """The pieces of an answer as the one message that they are."""
    whole: Message = {"role": "assistant", "content": None}
    for answer in answers:
        for name, value in answer.items():
            if name in ("content", "reasoning") and isinstance(value, str):
                whole[name] = (whole.get(name) or "") + value
            elif name == "tool_calls":
                whole[name] = [*whole.get(name, ()), *value]
            elif name == "content" and value is not None:
                whole[name] = value
    return whole


# -- one message ----------------------------------------------------------------------------


def _is_message(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    if isinstance(value.get("role"), str):
        return True
    kind = _text(value.get("type"))
    if kind in _ROLES:
        return "content" in value or isinstance(value.get("data"), dict)
    return kind in _ITEMS or isinstance(value.get("kwargs"), dict)


def messages_of(value: Any, role: str) -> list[Message]:
    """One message in any shape; each result of a tool in it is a message of its own."""
    if not isinstance(value, dict):
        return [{"role": role, "content": value}]
    inner = _unwrapped(value)
    kind = _text(inner.get("type"))
    if kind in _ITEMS:  # of the Responses API
        return _from_parts({"role": "assistant"}, [inner])
    stated = _text(inner.get("role")) or kind or role
    message: Message = {"role": _ROLES.get(stated, stated)}
    message.update(
        (name, item)
        for name, item in inner.items()
        if name not in ("role", "content", "parts", "blocks", "tool_calls", "toolCalls")
        and not _is_empty(name, item)
    )
    calls = inner.get("tool_calls") or inner.get("toolCalls")
    if isinstance(calls, list) and calls:
        message["tool_calls"] = [_call(call) for call in calls]
        beside = message.get("additional_kwargs")
        if isinstance(beside, dict) and beside.keys() == {"tool_calls"}:  # LangChain's copy
            del message["additional_kwargs"]
    content = _first(inner, "parts", "content", "blocks")
    if isinstance(content, list) and content:
        return _from_parts(message, content)
    message["content"] = None if content == [] else content
    return [_in_order(message)]


def is_item(part: Any) -> bool:
    """Whether a part is a thought, a tool's call or its result in an API's own form."""
    kind = part.get("type") if isinstance(part, dict) else None
    return isinstance(kind, str) and kind in _ITEMS and kind not in _CONVENTIONAL


def role_of(name: Any) -> str:
    """The role that a library's name of one stands for."""
    return _ROLES.get(name, name) if isinstance(name, str) else ""


def plain_messages(value: Any) -> Any:
    """A value of LangChain's with each constructor of a message in it as that message."""
    if isinstance(value, list):
        return [plain_messages(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("type") == "constructor" and isinstance(name := value.get("id"), list):
        messages = messages_of(value, "") if name and role_of(name[-1]) in _CHAT_ROLES else []
        return messages[0] if len(messages) == 1 else value
    return {name: plain_messages(item) for name, item in value.items()}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _unwrapped(value: Message) -> Message:
    """A message of LangChain's without the constructor around it."""
    for name in ("kwargs", "data"):
        inner = value.get(name)
        if isinstance(inner, dict):
            identifier = value.get("id")
            kind = identifier[-1] if isinstance(identifier, list) and identifier else None
            return {"type": value.get("type") if name == "data" else kind, **inner}
    return value


def _is_empty(name: str, item: Any) -> bool:
    """Whether a field says nothing beyond the role and the content."""
    if item is None or name in _OF_THE_CALL:
        return True
    if name == "tool_call_id":
        return bool(item == "")
    if name == "type":
        return _text(item) in _ROLES or item == "message"
    empty = ("additional_kwargs", "annotations", "example", "invalid_tool_calls")
    return name in empty and not any(_values(item))


def _values(item: Any) -> list[Any]:
    return [*item.values()] if isinstance(item, dict) else [item]


def _in_order(message: Message) -> Message:
    calls = message.pop("tool_calls", None)
    identifier = message.pop("toolCallId", None)
    ordered = {"role": message.pop("role"), "content": message.pop("content", None), **message}
    if identifier is not None:
        ordered["tool_call_id"] = identifier
    if calls is not None:
        ordered["tool_calls"] = calls
    return ordered


def _from_parts(message: Message, parts: list[Any]) -> list[Message]:
    content: list[Any] = []
    texts: list[str] = []
    thoughts: list[str] = []
    calls: list[Message] = list(message.get("tool_calls", ()))
    results: list[Message] = []
    for part in parts:
        kind, inner = _kind_of(part)
        text = part if isinstance(part, str) else inner.get("text", inner.get("content"))
        if kind in _CALLS:
            if not message.get("tool_calls"):  # else the message has them twice
                calls.append(_call(inner))
        elif kind in _RESULTS:
            results.append(_result(inner))
        elif kind in _THOUGHTS and (thought := _thought(inner)) is not None:
            thoughts.append(thought)
        elif isinstance(text, str) and (kind in _TEXTS or isinstance(part, str)):
            texts.append(text)
            content.append({"type": "text", "text": text})
        else:
            content.append(part)
    if results and not (content or thoughts or calls):
        return results
    message["content"] = "".join(texts) if len(texts) == len(content) else content
    if not content:
        message["content"] = None
    if thoughts:
        message["reasoning"] = "".join(thoughts)
    if calls:
        message["tool_calls"] = calls
    return [*results, _in_order(message)]


def _kind_of(part: Any) -> tuple[str | None, Message]:
    """What a part is, and the object that says so; Bedrock and Gemini name it by its key."""
    if not isinstance(part, dict):
        return None, {}
    kind = part.get("type", part.get("block_type"))
    if isinstance(kind, str):
        return kind, part
    for name in _KEYED:
        if isinstance(part.get(name), dict):
            return name, part[name]
    return ("text" if isinstance(part.get("text"), str) else None), part


def _thought(part: Message) -> str | None:
    for name in ("text", "thinking", "content", "reasoning", "reasoningText"):
        value = part.get(name)
        inner = value.get("text") if isinstance(value, dict) else value
        if isinstance(inner, str):
            return inner
    return text_of(part.get("summary"))


def _first(part: Message, *names: str) -> Any:
    return next((part[name] for name in names if part.get(name) is not None), None)


def _call(call: Any) -> Message:
    """One tool's call in the form of OpenAI's chats."""
    if not isinstance(call, dict):
        return {"type": "function", "function": {"name": call, "arguments": None}}
    function = call.get("function")
    inner = function if isinstance(function, dict) else call
    return {
        "id": _first(call, "call_id", "id", "toolCallId", "toolUseId", "tool_call_id", "ref"),
        "type": "function",
        "function": {
            "name": _first(inner, "name", "toolName", "tool_name"),
            "arguments": _first(inner, "arguments", "input", "args", "tool_kwargs"),
        },
    }


def _result(part: Message) -> Message:
    """One tool's result as a message of the role "tool"."""
    origin = part.get("origin")  # Haystack's, with the call
    if isinstance(origin, dict):
        part = {**origin, **part}
    value = _first(part, "output", "result", "response", "content")
    if isinstance(value, dict) and value.keys() == {"type", "value"}:  # Vercel's
        value = value["value"]
    text = text_of(value) if isinstance(value, list) else None
    message: Message = {
        "role": "tool",
        "content": value if text is None else text,
        "tool_call_id": _first(part, "call_id", "id", "toolCallId", "toolUseId", "tool_use_id",
                               "tool_call_id", "ref"),
    }  # fmt: skip
    name = _first(part, "name", "toolName", "tool_name")
    return message if name is None else {**message, "name": name}


def text_of(value: Any) -> str | None:
    """The text of a content: itself, or its parts where all are texts; None for anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return text_of(value["parts"]) if "parts" in value else text_of([value])
    if not isinstance(value, list) or not value:
        return None
    texts = [
        item if isinstance(item, str) else item.get("text", item.get("content"))
        for item in value
        if isinstance(item, str) or (isinstance(item, dict) and not _is_medium(item))
    ]
    whole = len(texts) == len(value) and all(isinstance(text, str) for text in texts)
    return "".join(map(str, texts)) if whole else None


def _is_medium(part: Message) -> bool:
    """Whether a part is a picture, a sound or a file by OTel's conventions, not a text."""
    return _text(part.get("type")) in _MEDIA or isinstance(part.get("modality"), str)


_MEDIA = frozenset({"blob", "file", "uri"})
