"""Transport wrapper: last-moment changes to a body, and local replies to requests never sent.

A pure exporter can do neither. Runs on the sender's loop, around an ``HttpTransport``. Invariant: a
request of method ``NONE`` never reaches the network, and every other request is sent once for each
call.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from sessiontrace.export.protocol import Reply, Request, Transport
from sessiontrace.export.request_body import RequestBody
from sessiontrace.model.record import Record
from sessiontrace.model.secret import Secret
from sessiontrace.vendors.shared.responses import NONE

__all__ = ["GZIP_HEADERS", "BodyTransform", "transforming_transport"]

GZIP_HEADERS = {"Content-Encoding": "gzip"}
"""The headers that the inner transport must send with compressed bodies."""

_FASTEST = 1  # a third of the bytes; the next levels take twice the time for a tenth less
_GZIP_FORM = 31  # zlib's name for the largest window within a gzip header
_SLICE = 32 << 10  # bytes compressed between two breaths of the loop, a third of a millisecond


class BodyTransform:
    """A transport around ``inner``.

    ``stamp`` completes the beginning of a body when it is sent; ``gzip``: bodies are compressed.
    """

    def __init__(
        self,
        inner: Transport,
        stamp: Callable[[bytes], bytes] | None = None,
        *,
        gzip: bool = False,
    ) -> None:
        self._inner = inner
        self._stamp = stamp
        self._gzip = gzip

    async def send(self, request: Request, records: Sequence[Record]) -> Reply:
        """The backend's reply, or an empty 200 to a request that is not for it."""
        if request.method == NONE:
            return Reply(200)
        body = request.content if self._stamp is None else request.content.begun(self._stamp)
        if self._gzip:
            body = await _compressed(body)
        return await self._inner.send(attrs.evolve(request, body=body), records)

    async def close(self) -> None:
        """Close the inner transport."""
        await self._inner.close()


def transforming_transport(
    base_url: str,
    key: Secret | None = None,
    *,
    stamp: Callable[[bytes], bytes] | None = None,
    gzip: bool = False,
    headers: Mapping[str, str] | None = None,
    **options: Any,
) -> BodyTransform:
    """A ``BodyTransform`` around a new ``HttpTransport``, which takes the other ``options``."""
    from sessiontrace.export.http_transport import HttpTransport  # aiohttp, only where it is used

    if gzip:
        headers = {**(headers or {}), **GZIP_HEADERS}
    inner = HttpTransport(base_url, key, headers=headers, **options)
    return BodyTransform(inner, stamp, gzip=gzip)


async def _compressed(body: RequestBody) -> RequestBody:
    """The body as gzip, always the same bytes; zlib releases the GIL while it compresses."""
    packer = zlib.compressobj(_FASTEST, zlib.DEFLATED, _GZIP_FORM)
    parts = []
    for piece in body:
        view = memoryview(piece)
        for at in range(0, len(piece), _SLICE):
            parts.append(packer.compress(view[at : at + _SLICE]))
            await asyncio.sleep(0)
    parts.append(packer.flush())
    return RequestBody(parts)
