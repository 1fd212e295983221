"""Recorded values as HTML: a chat as messages, a text as markdown, anything else as JSON.

Pure. Invariant: every recorded text is escaped; a tag comes from here or from ``text.markdown``,
which has a list of the tags that it may write.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

import attrs
import orjson

from sessiontrace.cli.render.html_media import MediaWriter
from sessiontrace.model.json_depth import encode
from sessiontrace.text import markdown
from sessiontrace.text.format import amount
from sessiontrace.wire.dialects.chat_shapes import answers_of, chat_of, text_of

__all__ = ["HtmlWriter", "folded"]

_FOLDED = 1_200  # characters of a system prompt that are not folded
_BESIDE = ("role", "content", "reasoning", "tool_calls")
_CHATS = ("chat_history", "messages", "contents", "input")


@attrs.define
class HtmlWriter:
    """Writes values of one page; ``markdown_left``: how many characters it still reads as markdown.

    ``media``: writes the pictures, sounds and files that a value refers to, behind it.
    Reading markdown takes a second for a few hundred kB, so a page has a bound: what comes after
    it is shown as text.
    """

    markdown_left: int = 1_000_000
    media: MediaWriter = attrs.field(factory=MediaWriter)

    def text(self, text: str) -> str:
        """A text as markdown, or as it is where it has no tree."""
        nodes = None
        if text.strip() and len(text) <= self.markdown_left:
            self.markdown_left -= len(text)
            nodes = markdown.tree(text)
        if nodes is None:
            return f'<p class="plain">{escape(text)}</p>\n'
        return f'<div class="text">{markdown.as_html(nodes)}</div>\n'

    def value(self, value: Any) -> str:
        """A value as JSON; a text as it is."""
        if isinstance(value, str):
            return self.text(value)
        text = encode(value, orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode()
        return f"<pre>{escape(text)}</pre>\n{''.join(self.media.media_in(value))}"

    def section(self, name: str, value: Any) -> Iterator[str]:
        """A field of a record under its heading."""
        yield f"<h3>{escape(name)}</h3>\n"
        messages = _messages(name, value)
        if messages is None:
            yield from self._fields(value)
            return
        for message in messages:
            yield from self.message(message)
        if isinstance(value, Mapping) and name == "inputs":
            others = {key: value[key] for key in value if key not in _CHATS}
            if others:
                yield self.value(others)

    def message(self, message: Mapping[str, Any]) -> Iterator[str]:
        """A message: its role, its content, and its calls of tools, which are folded."""
        role = str(message.get("role"))
        yield f'<div class="message {"user" if role == "user" else "other"}">'
        yield f'<p class="role">{escape(role)}</p>\n'
        if reasoning := message.get("reasoning"):
            yield folded("reasoning", self.value(reasoning))
        content = message.get("content")
        text = text_of(content)
        if text is not None and role == "system" and len(text) > _FOLDED:
            yield folded(f"{amount(len(text), 'character')}", self.text(text))
        elif text is not None:
            yield self.text(text)
        elif content is not None:
            yield from self._parts(content)
        for call in message.get("tool_calls") or ():
            yield folded(f"calls {_name_of(call)}", self.value(_arguments_of(call)))
        others = {name: message[name] for name in message if name not in _BESIDE}
        if others:
            yield folded(", ".join(map(str, others))[:200], self.value(others))
        yield "</div>\n"

    def _fields(self, value: Any) -> Iterator[str]:
        """An object that has texts field by field, anything else as JSON."""
        if not isinstance(value, Mapping) or not any(_is_long(item) for item in value.values()):
            yield self.value(value)
            return
        for name, item in value.items():
            yield f'<p class="role">{escape(str(name))}</p>\n{self.value(item)}'

    def _parts(self, content: Any) -> Iterator[str]:
        for part in content if isinstance(content, list) else [content]:
            text = text_of(part)
            yield self.value(part) if text is None else self.text(text)


def _messages(name: str, value: Any) -> Sequence[Mapping[str, Any]] | None:
    """The messages of inputs or outputs that hold some."""
    if name == "inputs":
        return chat_of(value)
    if name == "outputs" and isinstance(value, Mapping) and set(value) - {"result", "text"}:
        return answers_of(value)
    return None


def _is_long(item: Any) -> bool:
    return isinstance(item, str) and ("\n" in item or len(item) > 80)


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


def folded(title: str, content: str) -> str:
    """Content behind a title that opens it."""
    return f'<details class="fold"><summary>{escape(title)}</summary>\n{content}</details>\n'
