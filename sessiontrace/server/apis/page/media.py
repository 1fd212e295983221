"""The page's API: one image, sound or file of the store, by its SHA-256.

Runs on the server's loop; reading runs on the reading threads. Invariants: the content type follows
from the bytes (``media_types``) and is one that cannot run anything, else the answer is a download
of bytes without a type; every answer is sandboxed and never sniffed; a key reads the media of its
own project only.

GET /api/media/{sha256}   the bytes, or the part of them that ``Range`` asks for
    ?pcm=24000            bytes of no known format as a WAV file: 16 bits, one channel, this rate
"""

from __future__ import annotations

import struct

from aiohttp import web

from sessiontrace.model.media_types import INLINE, UNKNOWN, extension_of, media_type_of
from sessiontrace.server.http import RequestRejected, error_response, with_vendor_errors
from sessiontrace.server.store_readers import StoreReaders

__all__ = ["SANDBOX", "routes"]

SANDBOX = "default-src 'none'; sandbox"
"""The policy of every answer: even a document that a browser shows by mistake can do nothing."""


def routes(readers: StoreReaders) -> list[web.RouteDef]:
    """The route over one store."""

    async def medium(request: web.Request) -> web.StreamResponse:
        digest = request.match_info["digest"]
        tag = f'"{digest}"'
        content = await readers.query(lambda store: store.medium(digest))
        if content is None:
            raise RequestRejected(404, "this store does not keep such a medium")
        if (rate := _rate(request)) and media_type_of(content[:64], later=True) == UNKNOWN:
            content, tag = _wav_header(len(content), rate) + content, f'"{digest}-{rate}"'
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=304, headers={"ETag": tag, "Cache-Control": _CACHE})
        return _response(request, content, digest, tag)

    return [web.get("/api/media/{digest}", with_vendor_errors(medium, error_response))]


# A browser asks before it shows what it has stored, so that what was deleted here is shown nowhere.
_CACHE = "private, no-cache"


def _response(request: web.Request, content: bytes, digest: str, tag: str) -> web.Response:
    media_type = media_type_of(content[:64], later=True)
    disposition = "inline" if media_type in INLINE else "attachment"
    name = f"{digest[:12]}.{extension_of(media_type)}"
    headers = {
        "Content-Type": media_type,
        "Content-Disposition": f'{disposition}; filename="{name}"',
        "Content-Security-Policy": SANDBOX,
        "Cache-Control": _CACHE,
        "Accept-Ranges": "bytes",
        "ETag": tag,
    }
    begin, end = _range(request, len(content))
    if (begin, end) == (0, len(content)):
        return web.Response(body=content, headers=headers)
    headers["Content-Range"] = f"bytes {begin}-{end - 1}/{len(content)}"
    return web.Response(status=206, body=content[begin:end], headers=headers)


def _rate(request: web.Request) -> int:
    """The rate of raw sound that the request names, 0 for none: models answer with such sound."""
    text = request.query.get("pcm", "")
    return int(text) if text.isdecimal() and len(text) <= 6 and 1_000 <= int(text) <= 192_000 else 0


def _wav_header(length: int, rate: int) -> bytes:
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF", length + 36, b"WAVE", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16, b"data", length,
    )  # fmt: skip


def _range(request: web.Request, length: int) -> tuple[int, int]:
    """The part that the request asks for; players ask for parts in order to seek."""
    try:
        part = request.http_range
    except ValueError:  # several ranges, or nonsense: all of it, as HTTP permits
        return 0, length
    begin, end, _ = part.indices(length)
    if "Range" in request.headers and begin >= end:
        raise web.HTTPRequestRangeNotSatisfiable(headers={"Content-Range": f"bytes */{length}"})
    return begin, end
