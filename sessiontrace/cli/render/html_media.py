"""Stored media in an exported page: pictures, sounds and films within the file, up to a cap.

Pure over the function that reads the store. Invariant: what is embedded has the type that its bytes
show and is one of ``media_types.INLINE``, as on the server's page; other files are downloads.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from html import escape
from typing import Any

import attrs

from sessiontrace.model.media_types import INLINE, extension_of, media_type_of
from sessiontrace.text.format import size

__all__ = ["EMBEDDED_MOST", "MediaWriter"]

EMBEDDED_MOST = 16 << 20
"""Bytes of media that a page embeds, all together."""


@attrs.define
class MediaWriter:
    """Writes the media of one page, each once; ``read``: the bytes of a stored one, by its hash."""

    read: Callable[[str], bytes | None] = lambda digest: None
    left: int = EMBEDDED_MOST
    _written: set[str] = attrs.field(factory=set)

    def media_in(self, value: Any) -> Iterator[str]:
        """The media that a value describes and no earlier value did."""
        for description in _descriptions(value):
            digest = description["sha256"]
            if digest not in self._written:
                self._written.add(digest)
                yield self._medium(digest, description)

    def _medium(self, digest: str, description: Mapping[str, Any]) -> str:
        content = self.read(digest)
        if content is None:
            return _caption(description, "deleted since it was recorded")
        if len(content) > self.left:
            return _caption(
                description, f"not in this file, which has {size(EMBEDDED_MOST)} at most"
            )
        self.left -= len(content)
        media_type = media_type_of(content[:64], later=True)
        source = f"data:{media_type};base64,{base64.b64encode(content).decode()}"
        name = f"{digest[:12]}.{extension_of(media_type)}"
        kind = media_type.partition("/")[0] if media_type in INLINE else ""
        if kind == "image":
            return f'<p class="medium"><img src="{source}" alt="picture {digest[:12]}"></p>\n'
        if kind in ("audio", "video"):
            label = f'aria-label="{kind} {digest[:12]}"'
            return f'<p class="medium"><{kind} controls {label} src="{source}"></{kind}></p>\n'
        link = f'<a download="{name}" href="{source}">Download {name}</a>'
        return f'<p class="medium">{link}, {size(len(content))}</p>\n'


def _caption(description: Mapping[str, Any], reason: str) -> str:
    kind = escape(str(description.get("media_type", "file")))
    digest = escape(description["sha256"][:12])
    return f'<p class="role">{kind}, {size(description["bytes"])}, {digest}: {reason}</p>\n'


def _descriptions(value: Any) -> Iterator[Mapping[str, Any]]:
    """The descriptions of stored media in their order; a value may be deeper than a stack."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, Mapping):
            if item.get("stored") is True and _is_description(item):
                yield item
            else:
                waiting.extend(reversed(list(item.values())))
        elif isinstance(item, list):
            waiting.extend(reversed(item))


def _is_description(value: Mapping[str, Any]) -> bool:
    return isinstance(value.get("sha256"), str) and isinstance(value.get("bytes"), int)
