"""Messages that a producer sent as Python shows them, as those of a chat.

Pure functions, no thread owns them. They are Haystack's ``ChatMessage``, as its ``repr``, and
AutoGen's messages, as their ``str``. Invariant: any other value comes back as it is.
"""

from __future__ import annotations

from typing import Any

from sessiontrace.wire.dialects.chat_shapes import messages_of
from sessiontrace.wire.python_texts.fields import constructed, fields_of

__all__ = ["has_messages", "with_messages"]

_HAYSTACK = "ChatMessage(_role="
_AUTOGEN = "Message'"
_PARTS = {"TextContent": "text", "ToolCall": "tool_call", "ToolCallResult": "tool_call_result"}


def has_messages(text: Any) -> bool:
    """Whether a JSON text may hold such messages."""
    return isinstance(text, str) and (_HAYSTACK in text or (_AUTOGEN in text and "source=" in text))


def with_messages(value: Any) -> Any:
    """The value with each such text in it as a message."""
    if isinstance(value, list):
        return [with_messages(item) for item in value]
    if isinstance(value, dict):
        return {name: with_messages(item) for name, item in value.items()}
    if not isinstance(value, str):
        return value
    message = _of_haystack(value) if value.startswith(_HAYSTACK) else _of_autogen(value)
    plain = [] if message is None else messages_of(message, "user")
    return plain[0] if len(plain) == 1 else value


def _of_haystack(text: str) -> dict[str, Any] | None:
    fields = constructed(text)
    if fields is None or not isinstance(parts := fields.get("_content"), list):
        return None
    content = [
        {**part, "type": _PARTS.get(part.get("type", ""), part.get("type"))}
        for part in parts
        if isinstance(part, dict)
    ]
    return {"role": fields.get("_role"), "content": content}


def _of_autogen(text: str) -> dict[str, Any] | None:
    fields = fields_of(text) if _AUTOGEN in text else None
    if fields is None or not fields.keys() >= {"source", "content", "type"}:
        return None
    source, content = fields["source"], fields["content"]
    role = "user" if source == "user" else "assistant"
    return {"role": role, "content": content, "name": source}
