"""Recorded values as HTML: a chat as messages, a text as markdown, anything else as JSON.

Pure. Invariant: every recorded text is escaped; a tag comes from here or from ``text.markdown``,
which has a list of the tags that it may write.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

import orjson

from sessiontrace.model.json_depth import encode
from sessiontrace.text import markdown
from sessiontrace.text.format import amount
from sessiontrace.wire.dialects.chat_shapes import answers_of, chat_of, text_of

__all__ = ["message_html", "section_html", "text_html", "value_html"]

_FOLDED = 1_200  # characters of a system prompt that are not folded
_BESIDE = ("role", "content", "reasoning", "tool_calls")
_CHATS = ("chat_history", "messages", "contents", "input")


def text_html(text: str) -> str:
    """A text as markdown, or as it is where it has no tree."""
    nodes = markdown.tree(text) if text.strip() else None
    if nodes is None:
        return f'<p class="plain">{escape(text)}</p>\n'
    return f'<div class="text">{markdown.as_html(nodes)}</div>\n'


def value_html(value: Any) -> str:
    """A value as JSON; a text as it is."""
    if isinstance(value, str):
        return text_html(value)
    text = encode(value, orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode()
    return f"<pre>{escape(text)}</pre>\n"


def section_html(name: str, value: Any) -> Iterator[str]:
    """A field of a record under its heading."""
    yield f"<h3>{escape(name)}</h3>\n"
    messages = _messages(name, value)
    if messages is None:
        yield from _fields_html(value)
        return
    for message in messages:
        yield from message_html(message)
    if isinstance(value, Mapping) and name == "inputs":
        others = {key: value[key] for key in value if key not in _CHATS}
        if others:
            yield value_html(others)


def message_html(message: Mapping[str, Any]) -> Iterator[str]:
    """A message: its role, its content, and its calls of tools, which are folded."""
    role = str(message.get("role"))
    yield f'<div class="message {"user" if role == "user" else "other"}">'
    yield f'<p class="role">{escape(role)}</p>\n'
    if reasoning := message.get("reasoning"):
        yield _folded("reasoning", value_html(reasoning))
    content = message.get("content")
    text = text_of(content)
    if text is not None and role == "system" and len(text) > _FOLDED:
        yield _folded(f"{amount(len(text), 'character')}", text_html(text))
    elif text is not None:
        yield text_html(text)
    elif content is not None:
        yield from _parts_html(content)
    for call in message.get("tool_calls") or ():
        yield _folded(f"calls {_name_of(call)}", value_html(_arguments_of(call)))
    others = {name: message[name] for name in message if name not in _BESIDE}
    if others:
        yield _folded(", ".join(map(str, others))[:200], value_html(others))
    yield "</div>\n"


def _messages(name: str, value: Any) -> Sequence[Mapping[str, Any]] | None:
    """The messages of inputs or outputs that hold some."""
    if name == "inputs":
        return chat_of(value)
    if name == "outputs" and isinstance(value, Mapping) and set(value) - {"result", "text"}:
        return answers_of(value)
    return None


def _fields_html(value: Any) -> Iterator[str]:
    """An object that has texts field by field, anything else as JSON."""
    if not isinstance(value, Mapping) or not any(_is_long(item) for item in value.values()):
        yield value_html(value)
        return
    for name, item in value.items():
        yield f'<p class="role">{escape(str(name))}</p>\n{value_html(item)}'


def _is_long(item: Any) -> bool:
    return isinstance(item, str) and ("\n" in item or len(item) > 80)


def _parts_html(content: Any) -> Iterator[str]:
    for part in content if isinstance(content, list) else [content]:
        text = text_of(part)
        yield value_html(part) if text is None else text_html(text)


def _name_of(call: Any) -> str:
    function = call.get("function") if isinstance(call, Mapping) else None
    return str(function.get("name")) if isinstance(function, Mapping) else "a tool"


def _arguments_of(call: Any) -> Any:
    function = call.get("function") if isinstance(call, Mapping) else None
    arguments = function.get("arguments") if isinstance(function, Mapping) else call
    try:
        return orjson.loads(arguments) if isinstance(arguments, str) else arguments
    except orjson.JSONDecodeError:
        return arguments


def _folded(title: str, content: str) -> str:
    return f'<details class="fold"><summary>{escape(title)}</summary>\n{content}</details>\n'
