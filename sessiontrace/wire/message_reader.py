"""Chat messages in span attributes, read as ``{role, content, tool_calls?}``.

Pure functions, no thread owns them. OTel's GenAI conventions write one JSON list of messages with
parts; OpenInference and Traceloop write an attribute for each field of each message
(``llm.input_messages.0.message.role``). Invariant: a field of a message that has no rule here stays
in the message under its own name.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from typing import Any

import orjson

from sessiontrace.wire.dialects.chat_shapes import is_item, messages_of, text_of
from sessiontrace.wire.received_span import DEPTH, Attributes
from sessiontrace.wire.value_tree import as_lists, json_value, put

__all__ = ["CALL_OBJECTS", "MESSAGE_FIELD", "indexed", "input_messages", "output_messages"]

Message = dict[str, Any]

_OURS = "sessiontrace.event.type"
_INPUT = ("gen_ai.input.messages", "llm.input_messages.", "gen_ai.prompt.")
_OUTPUT = ("gen_ai.output.messages", "llm.output_messages.", "gen_ai.completion.")
MESSAGE_FIELD = re.compile(
    r"(llm\.(input|output)_messages|gen_ai\.(prompt|completion))\.\d+(\.|\Z)"
)
"""Matches the names of attributes that hold one field of one message."""


def input_messages(attributes: Attributes) -> list[Message]:
    """The chat a model was given, its system instructions first."""
    messages = _messages(attributes, "user", *_INPUT)
    system = _system_message(attributes)
    if system is None or _says_same(system, messages):
        return messages
    return [system, *messages]


def output_messages(attributes: Attributes) -> list[Message]:
    """The messages a model answered with."""
    return _messages(attributes, "assistant", *_OUTPUT)


def _says_same(system: Message, messages: list[Message]) -> bool:
    """Whether a chat begins with its instructions, which some producers write beside it, too."""
    first = messages[0] if messages else {}
    return (
        first.get("role") in ("system", "developer")
        and first.get("content") == system.get("content") is not None
    )


def _system_message(attributes: Attributes) -> Message | None:
    """The instructions beside the chat; None without any."""
    parts = json_value(attributes.get("gen_ai.system_instructions"))
    if isinstance(parts, str) and parts:
        return {"role": "system", "content": parts}
    if not isinstance(parts, list) or not parts:
        return None
    return _from_parts({"role": "system", "parts": parts}, "system")


def _messages(attributes: Attributes, role: str, whole: str, *prefixes: str) -> list[Message]:
    messages = json_value(attributes.get(whole))
    if isinstance(messages, list):
        plain = [
            plain
            for message in messages
            if isinstance(message, dict)
            for plain in _of_any_shape(message, role)
        ]
        return plain if _OURS in attributes else [tidy for m in plain for tidy in _tidy(m, role)]
    if isinstance(messages, str) and messages:  # a text in place of messages
        return [{"role": role, "content": messages}]
    for prefix in prefixes:
        if fields := indexed(attributes, prefix):
            return [message for entry in fields for message in _from_fields(entry, role)]
    return []


def _of_any_shape(message: Message, role: str) -> list[Message]:
    """A message of the conventions, or of the shapes that producers write in their place."""
    inner = message.get("message")
    if isinstance(inner, dict) and "role" in inner and "parts" not in message:  # an API's choice
        message = {**inner, "finish_reason": message.get("finish_reason")}
    parts = message.get("parts")
    if type(parts) is list and len(parts) == 1:
        part = parts[0]
        if type(part) is dict and part.get("type") == "text":  # as most messages are
            plain: Message = {**message, "role": message.get("role") or role}
            del plain["parts"]
            plain["content"] = str(part.get("content", ""))
            return [plain]
    if isinstance(parts, list) and (not parts or any(map(_is_conventional, parts))):
        return [_from_parts(part, role) for part in _tools_apart(message)]
    return messages_of(message, role)


def _tidy(message: Message, role: str) -> list[Message]:
    """A producer's message without fields that have no value, and without parts of an API's own."""
    if message.get("name", "") is None:
        del message["name"]
    if message.get("tool_call_id") == "":
        del message["tool_call_id"]
    content = message.get("content")
    if isinstance(content, list) and any(map(is_item, content)):
        return messages_of(message, role)
    if isinstance(content, str) and (call := _call_in(content)) is not None:
        message["content"] = None
        message["tool_calls"] = [*message.get("tool_calls", ()), call]
    return [message]


CALL_OBJECTS = ("ResponseFunctionToolCall(", "ToolUseBlock(")
"""How the text begins that shows an SDK's object of a tool's call."""
_OBJECT_CHARS = 100_000


def _call_in(text: str) -> Message | None:
    """The tool's call in a text that shows an SDK's object as Python does; None for any other."""
    if not text.startswith(CALL_OBJECTS) or len(text) > _OBJECT_CHARS:
        return None
    try:
        tree = ast.parse(text, mode="eval").body
        keywords = tree.keywords if isinstance(tree, ast.Call) else []
        fields = {entry.arg: ast.literal_eval(entry.value) for entry in keywords}
        orjson.dumps(fields)
    except (ValueError, SyntaxError, MemoryError, RecursionError, SystemError, TypeError):
        return None
    arguments = fields.get("arguments", fields.get("input"))
    return _call(fields.get("call_id", fields.get("id")), fields.get("name"), arguments)


def _is_conventional(part: Any) -> bool:
    return isinstance(part, dict) and isinstance(part.get("type"), str)


def indexed(attributes: Attributes, prefix: str) -> list[dict[str, Any]]:
    """``prefix0.a.b``, ``prefix1.a.b``, ... as a list of nested objects, in order."""
    tree: dict[str, Any] = {}
    for name, value in attributes.items():
        if name.startswith(prefix):
            put(tree, name[len(prefix) :].split(".", DEPTH), value)
    numbered = sorted((key for key in tree if key.isdecimal()), key=int)
    items = [as_lists(tree[key]) for key in numbered]
    return [item if isinstance(item, dict) else {"content": item} for item in items]


def _tools_apart(message: Message) -> list[Message]:
    """Results of tools in a message of another role as messages of their own, as chat APIs have."""
    parts = message.get("parts")
    if not isinstance(parts, list):
        return [message]
    results = [part for part in parts if _is_tool_result(part)]
    if not results or message.get("role") == "tool":
        return [message]
    others = [part for part in parts if not _is_tool_result(part)]
    apart: list[Message] = [{**message, "role": "tool", "parts": [part]} for part in results]
    return [*apart, {**message, "parts": others}] if others else apart


def _is_tool_result(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") == "tool_call_response"


def _from_parts(message: Message, role: str) -> Message:
    """A message of OTel's: ``{role, parts}``; one without parts keeps its fields."""
    parts = message.get("parts")
    plain: Message = {**message, "role": message.get("role") or role}
    if not isinstance(parts, list):
        return plain
    del plain["parts"]
    content: list[Any] = []
    reasoning: list[str] = []
    calls: list[dict[str, Any]] = []
    for part in parts:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "tool_call":
            calls.append(_call(part.get("id"), part.get("name"), part.get("arguments")))
        elif kind == "reasoning" and isinstance(part.get("content"), str):
            reasoning.append(part["content"])
        else:
            content.append(part)
    if reasoning:
        plain["reasoning"] = "".join(reasoning)
    _set_content(plain, content)
    if calls:
        plain["tool_calls"] = calls
    return plain


def _set_content(message: Message, parts: list[Any]) -> None:
    """Set the text or a tool's answer; the parts themselves when there is more than either."""
    part = parts[0] if len(parts) == 1 else None
    kind = part.get("type") if isinstance(part, dict) else None
    if part is not None and kind == "text":
        message["content"] = str(part.get("content", ""))
    elif part is not None and kind == "tool_call_response":
        message["tool_call_id"] = part.get("id")
        response = part.get("response", part.get("result"))
        text = text_of(response) if isinstance(response, list) else None  # of Bedrock's parts
        message["content"] = response if text is None else text
    elif all(isinstance(part, dict) and part.get("type") == "text" for part in parts):
        texts = [str(part.get("content", "")) for part in parts]
        message["content"] = "".join(texts) if texts else None
    else:
        message["content"] = [_content_part(part) for part in parts]


def _content_part(part: Any) -> Any:
    """A part among several kinds: texts as chat APIs write them, all others as they are."""
    if isinstance(part, dict) and part.get("type") == "text" and "content" in part:
        return {"type": "text", "text": part["content"]}
    return part


def _from_fields(fields: Message, role: str) -> list[Message]:
    """A message of OpenInference's (below "message") or of Traceloop's, from its attributes."""
    inner = fields.get("message")
    plain: Message = {"role": role, **(inner if isinstance(inner, dict) else fields)}
    if isinstance(plain.get("content"), str) and plain["content"].startswith(_PARTS):
        plain["content"] = json_value(plain["content"])  # OpenLLMetry's of Cohere
    if plain["role"] == "user" and plain.get("tool_call_id"):  # OpenInference's of Anthropic
        plain["role"] = "tool"
    if contents := plain.pop("contents", None):
        parts = [_unwrapped(part, "message_content") for part in _items(contents)]
        plain["content"] = [_content(part) for part in parts]
    if calls := [_unwrapped(call, "tool_call") for call in _items(plain.pop("tool_calls", None))]:
        plain["tool_calls"] = calls
    return messages_of(plain, role)


_PARTS = ('[{"type": "', '[{"type":"')


def _content(part: dict[str, Any]) -> dict[str, Any]:
    """A part of a message; OpenInference has an image's address two levels down."""
    image = part.get("image")
    if isinstance(image, dict):
        place = _unwrapped(image, "image")
        return {"type": "image_url", "image_url": place}
    return part


def _items(value: Any) -> Iterable[dict[str, Any]]:
    return (item for item in value if isinstance(item, dict)) if isinstance(value, list) else ()


def _unwrapped(item: dict[str, Any], name: str) -> dict[str, Any]:
    inner = item.get(name)
    return inner if isinstance(inner, dict) else item


def _call(call_id: Any, name: Any, arguments: Any) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
