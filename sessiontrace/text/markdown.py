"""Markdown as a tree of plain values, from which a reader builds elements.

Pure functions, no thread owns them; markdown-it-py reads the text, where it is installed (the extra
``cli`` brings it). A node is a text, or ``[tag, attributes, children]``. Invariant: a tree has only
the tags of ``TAGS``, no HTML of the text is ever one, links lead to http, https or mailto, and no
node loads anything from elsewhere.
"""

from __future__ import annotations

import functools
import html as escaping
import re
from collections.abc import Sequence
from typing import Any

__all__ = ["CHARACTERS_MAX", "TAGS", "as_html", "is_available", "tree"]

Node = str | list[Any]

CHARACTERS_MAX = 50_000
"""A longer text has no tree: readers show it as it is."""

_CELLS_MAX = 50_000

TAGS = frozenset(
    {"a", "blockquote", "br", "code", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "img", "li",
     "ol", "p", "pre", "s", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul"}
)  # fmt: skip

_LINK = re.compile(r"(https?://|mailto:)[^\s\x00-\x20]+", re.IGNORECASE)
_PICTURE = re.compile(r"data:image/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/]+={0,2}")
_LANGUAGE = re.compile(r"[\w+#.-]{1,24}")
_ALIGN = re.compile(r"text-align:(left|right|center)")


def is_available() -> bool:
    """Whether markdown-it-py is installed."""
    return _parser() is not None


def tree(text: str) -> list[Node] | None:
    """The nodes of a text; None without markdown-it-py, or for more than ``CHARACTERS_MAX``."""
    if len(text) > CHARACTERS_MAX or not is_available():
        return None
    parser = _parser(tables=_may_have_tables(text))
    try:
        return _nodes(parser.parse(text))
    except (RecursionError, ValueError, IndexError):  # of the parser, for one text of many
        return None


def as_html(nodes: Sequence[Node]) -> str:
    """The nodes as HTML; every text and every attribute is escaped."""
    return "".join(map(_html, nodes))


def _html(node: Node) -> str:
    if isinstance(node, str):
        return escaping.escape(node)
    tag, attributes, children = node
    if tag == "pre":
        return f"<pre><code>{as_html(children)}</code></pre>"
    if tag == "a":
        attributes = {**attributes, "rel": "noopener noreferrer nofollow"}
    names = "".join(
        f' {name}="{escaping.escape(str(value))}"'
        for name, value in attributes.items()
        if name != "align"
    )
    if tag in ("br", "hr", "img"):
        return f"<{tag}{names}>"
    return f"<{tag}{names}>{as_html(children)}</{tag}>"


@functools.cache
def _parser(*, tables: bool = False) -> Any:
    """A parser, or None without markdown-it-py."""
    try:
        from markdown_it import MarkdownIt
    except ImportError:
        return None
    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": 24})
    # Time of `reference` grows with the square of the definitions: minutes for 40 kB of them.
    parser.enable("strikethrough").disable("reference")
    return parser.enable("table") if tables else parser


def _may_have_tables(text: str) -> bool:
    """Whether tables of this text are small: the parser fills each row up to the widest."""
    lines = text.split("\n")
    return len(lines) * max(line.count("|") for line in lines) <= _CELLS_MAX


def _nodes(tokens: Sequence[Any]) -> list[Node]:
    """The tokens of a block or of a line, as nodes."""
    top: list[Node] = []
    children = top
    above: list[list[Node]] = []
    for token in tokens:
        if token.hidden:  # the paragraphs of a tight list
            continue
        if token.nesting < 0:
            children = above.pop()
        elif token.nesting > 0:
            node: list[Any] = [token.tag, _attributes(token), []]
            if token.tag not in TAGS or (token.tag == "a" and not node[1]):
                node = ["p", {}, []] if token.block else ["em", {}, []]
            children.append(node)
            above.append(children)
            children = node[2]
        elif token.type == "inline":
            children.extend(_nodes(token.children or ()))
        elif leaf := _leaf(token):
            children.append(leaf)
    return top


def _attributes(token: Any) -> dict[str, Any]:
    if token.tag == "a":
        href = str(token.attrGet("href") or "")
        return {"href": href} if _LINK.fullmatch(href) else {}
    if token.tag == "ol" and isinstance(start := token.attrGet("start"), int):
        return {"start": start}
    if token.tag in ("th", "td"):
        align = _ALIGN.match(str(token.attrGet("style") or ""))
        return {"align": align[1]} if align else {}
    return {}


def _leaf(token: Any) -> Node:
    if token.type in ("fence", "code_block"):
        language = _LANGUAGE.match(token.info.strip())
        return ["pre", {"lang": language[0]} if language else {}, [token.content.rstrip("\n")]]
    if token.type == "code_inline":
        return ["code", {}, [token.content]]
    if token.type in ("softbreak", "hardbreak"):  # lines of a chat are meant as lines
        return ["br", {}, []]
    if token.type == "hr":
        return ["hr", {}, []]
    if token.type == "image":
        return _picture(str(token.attrGet("src") or ""), token.content)
    return str(token.content)


def _picture(source: str, alternative: str) -> Node:
    """A picture that its text contains, or a link to one elsewhere, which nothing loads."""
    if _PICTURE.fullmatch(source):
        return ["img", {"src": source, "alt": alternative}, []]
    label = f"picture: {alternative or source}"
    return ["a", {"href": source}, [label]] if _LINK.fullmatch(source) else label
