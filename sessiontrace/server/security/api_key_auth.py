"""API keys at the door: which key a request shows, what it may do, and for which project.

Runs on the server's loop; keys are read from the store on a thread. Invariant: what is not listed
here as sending needs a key that may read, and a request without a good key reaches no route but
the page's own files. A key that was revoked is refused within seconds on every replica.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping

from sessiontrace.server.security.request_context import MAY_READ, PROJECT
from sessiontrace.server.security.token_auth import COOKIE_S, TokenAuth
from sessiontrace.store.api_keys import BOTH, INGEST, READ, Key, active, hashed, pass_of
from sessiontrace.store.models import DEFAULT_PROJECT
from sessiontrace.store.protocol import Stores

__all__ = ["ApiKeyAuth", "need_of"]

_FRESH_S = 5.0
_AGAIN_S = 0.5
_SAFE = frozenset({"GET", "HEAD"})
# Routes by which clients send, and whose answers tell nothing that was not in the request.
_SENDING = re.compile(
    r"POST (/v1/traces|/opentelemetry/v1/traces"
    r"|/v1/sessions|/v1/sessions/[^/]+/events/batch|/v1/events|/v1/events/batch"
    r"|/session/start|/session/[^/]+/traces|/events|/events/batch|/events/model(/batch)?"
    r"|/v4/(sessions|logs|feedback|traces)"
    r"|/v5/(flows|prompts|tools|agents|evaluators)/log|/v5/import/otel/v1/traces"
    r"|/(batch|capture|track|engage|e|i/v0/e|i/v0/ai/batch|i/v1/analytics/events)/?)"
    r"|PUT (/v1/events/[^/]+|/events)"
)


def need_of(method: str, path: str) -> str:
    """What a key must be allowed for this request: ``INGEST``, ``READ`` or ``BOTH``."""
    if method in _SAFE or path in ("/v1/events/search", "/v1/events/export"):
        return READ
    return INGEST if _SENDING.fullmatch(f"{method} {path}") else BOTH


class ApiKeyAuth(TokenAuth):
    """Who may ask: whoever shows a key that the stores know."""

    def __init__(self, stores: Stores, port: int) -> None:
        super().__init__(None, port)
        self._stores = stores
        self._by_hash: dict[str, Key] = {}
        self._by_pass: dict[str, Key] = {}
        self._read_at = float("-inf")
        self._refreshing = asyncio.Lock()

    @property
    def open(self) -> bool:
        return False

    def asks(self, need: str) -> str:
        return f"show an API key that may {'ingest and read' if need == BOTH else need}"

    async def refresh(self, headers: Mapping[str, str]) -> None:
        """Know the keys as they were seconds ago, or now where an unknown one is shown."""
        age = time.monotonic() - self._read_at
        if age < _AGAIN_S or (age < _FRESH_S and self._shown(headers) is not None):
            return
        async with self._refreshing:
            if time.monotonic() - self._read_at < _AGAIN_S:
                return  # somebody else has just looked
            keys = await asyncio.to_thread(self._read)
            self._by_hash = {key.hash: key for key in keys}
            self._by_pass = {key.pass_hash: key for key in keys}
            self._read_at = time.monotonic()

    def _read(self) -> list[Key]:
        store = self._stores.reader(DEFAULT_PROJECT, 2.0)
        try:
            return active(store)
        finally:
            store.close()

    def admits(self, headers: Mapping[str, str], need: str = INGEST) -> bool:
        return self._enter(self._shown(headers), need)

    def recognises(self, headers: Mapping[str, str]) -> bool:
        return self._shown(headers) is not None

    def knows(self, given: object) -> bool:
        return self._enter(self._key(given), INGEST)

    def opens(self, given: object) -> str | None:
        key = self._key(given)
        if key is None or not key.allows(READ) or not isinstance(given, str):
            return None
        return (
            f"{self._cookie}={pass_of(given)}; Path=/; Max-Age={COOKIE_S}; HttpOnly; "
            "SameSite=Strict"
        )

    def _enter(self, key: Key | None, need: str) -> bool:
        """Let a request in for a key's project, if the key may do what is needed."""
        if key is None or not key.allows(need):
            return False
        PROJECT.set(key.project)
        MAY_READ.set(key.allows(READ))
        return True

    def _shown(self, headers: Mapping[str, str]) -> Key | None:
        kind, _, shown = headers.get("Authorization", "").partition(" ")
        given = shown.strip() if kind.lower() == "bearer" else headers.get("X-API-KEY", "")
        if given:
            return self._key(given)
        for part in headers.get("Cookie", "").split(";"):
            name, _, value = part.strip().partition("=")
            if name == self._cookie and (key := self._by_pass.get(hashed(value))) is not None:
                return key
        return None

    def _key(self, given: object) -> Key | None:
        # By its hash: how long a look into a table takes tells nothing of the key.
        return self._by_hash.get(hashed(given)) if isinstance(given, str) and given else None
