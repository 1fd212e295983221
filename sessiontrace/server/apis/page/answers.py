"""How the page's API answers: from a reading thread, with a tag, and by any id of a session.

Runs on the server's loop; reading and encoding run on the reading threads. Invariant: the tag of a
response changes exactly when its body does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from aiohttp import web

from sessiontrace.model.json_depth import encode
from sessiontrace.server.http import RequestRejected, encoded_response
from sessiontrace.server.store_readers import StoreReaders
from sessiontrace.store.models import StoredSession
from sessiontrace.store.protocol import Store
from sessiontrace.store.session_ids import exact_session, ids_for

__all__ = ["answer", "requested_session"]


async def answer(
    readers: StoreReaders, request: web.Request, question: Callable[[Store], Any]
) -> web.Response:
    """The response with what ``question`` returns; 404 for None, 304 for what the page has."""

    def encoded(store: Store) -> bytes | None:
        content = question(store)
        return None if content is None else encode(content)

    body = await readers.query(encoded)
    if body is None:
        raise RequestRejected(404, "not in this store")
    # The page asks again after every change of the store; most answers are the same as before.
    tag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    if request.headers.get("If-None-Match") == tag:
        return web.Response(status=304, headers={"ETag": tag, "Cache-Control": "no-store"})
    return encoded_response(body, headers={"ETag": tag})


def requested_session(
    store: Store, text: str, *, first_chunks: bool = True
) -> StoredSession | None:
    """The session that a text means, as ``store.session_ids`` reads it; None without one."""
    stored = exact_session(store, text, first_chunks=first_chunks)
    if stored is not None:
        return stored
    ids = ids_for(store, text, 2)
    if len(ids) > 1:
        raise RequestRejected(404, f"several sessions begin with {text}")
    return store.session(ids[0], first_chunks=first_chunks) if ids else None
