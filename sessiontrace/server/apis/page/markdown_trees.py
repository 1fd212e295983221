"""The page's markdown: texts in, trees out, from which the page builds elements.

Runs on the server's loop; the parser runs in a thread. Invariant: an answer never contains HTML.

POST /api/markdown   {texts} -> {available, trees}: null for a text that the page shows as it is
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from sessiontrace.server.http import (
    RequestRejected,
    error_response,
    json_response,
    read_json,
    with_vendor_errors,
)
from sessiontrace.text import markdown

__all__ = ["routes"]

_TEXTS_MAX = 200
_CHARACTERS_MAX = 200_000
"""Of all texts of a request: about a second of work."""


def routes() -> list[web.RouteDef]:
    """The route of the texts; it needs no store."""
    return [web.post("/api/markdown", with_vendor_errors(_answer, error_response))]


async def _answer(request: web.Request) -> web.Response:
    body = await read_json(request)
    texts = body.get("texts") if isinstance(body, dict) else None
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise RequestRejected(400, "texts must be a list of texts")
    if len(texts) > _TEXTS_MAX or sum(map(len, texts)) > _CHARACTERS_MAX:
        raise RequestRejected(
            413, f"at most {_TEXTS_MAX} texts of together {_CHARACTERS_MAX:,} characters"
        )
    trees: list[Any] = await asyncio.to_thread(lambda: [markdown.tree(text) for text in texts])
    return json_response({"available": markdown.is_available(), "trees": trees})
