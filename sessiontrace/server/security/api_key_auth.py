"""API keys: which key a request shows, what the key permits, and for which project.

Runs on the server's loop; a thread reads the keys from the store. Invariant: every route that is
not listed here as sending requires a key that may read; a request without a valid key reaches the
page's own files only. Every replica rejects a revoked key within seconds.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping

from sessiontrace.server.otlp_paths import OTLP_PATHS
from sessiontrace.server.security.request_context import (
    KEY_NAME,
    MAY_READ,
    MAY_SCORE,
    PROJECT,
)
from sessiontrace.server.security.token_auth import TokenAuth, credentials_of
from sessiontrace.store.api_keys import BOTH, INGEST, READ, Key, active, hashed, pass_of
from sessiontrace.store.models import DEFAULT_PROJECT
from sessiontrace.store.protocol import Stores

__all__ = ["ApiKeyAuth", "required_permission"]

_FRESH_S = 5.0
_MIN_INTERVAL_S = 0.5
_SAFE = frozenset({"GET", "HEAD"})
_READING = frozenset({"/v1/events/search", "/v1/events/export", "/api/markdown", "/mcp"})
# Routes by which clients send, and whose responses show only what the request said.
_SENDING = re.compile(
    r"POST (/v1/sessions|/v1/sessions/[^/]+/events/batch|/v1/events|/v1/events/batch"
    r"|/session/start|/session/[^/]+/traces|/events|/events/batch|/events/model(/batch)?"
    r"|/v4/(sessions|logs|feedback|traces)"
    r"|/api/public/(scores|ingestion)"
    r"|/v5/(flows|prompts|tools|agents|evaluators)/log|/v5/import/otel/v1/traces"
    r"|/(batch|capture|track|engage|e|i/v0/e|i/v0/ai/batch|i/v1/analytics/events)/?)"
    r"|PUT (/v1/events/[^/]+|/events)"
)


def required_permission(method: str, path: str) -> str:
    """The permission that this request requires of a key: ``INGEST``, ``READ`` or ``BOTH``."""
    if method in _SAFE or path in _READING:
        return READ
    if method == "POST" and path in OTLP_PATHS:
        return INGEST
    return INGEST if _SENDING.fullmatch(f"{method} {path}") else BOTH


class ApiKeyAuth(TokenAuth):
    """Admits requests that show an API key of the stores."""

    def __init__(self, stores: Stores, port: int) -> None:
        super().__init__(None, port)
        self._stores = stores
        self._by_hash: dict[str, Key] = {}
        self._by_cookie: dict[str, Key] = {}
        self._read_at = float("-inf")
        self._refreshing = asyncio.Lock()

    @property
    def open(self) -> bool:
        return False

    def denial(self, permission: str) -> str:
        actions = "ingest and read" if permission == BOTH else permission
        return f"this request requires an API key that may {actions}"

    async def refresh(self, headers: Mapping[str, str]) -> None:
        """Read the keys when they are seconds old, or at once when a request shows a new one."""
        age = time.monotonic() - self._read_at
        if age < _MIN_INTERVAL_S or (age < _FRESH_S and self._shown_key(headers) is not None):
            return
        async with self._refreshing:
            if time.monotonic() - self._read_at < _MIN_INTERVAL_S:
                return  # another request has just read them
            keys = await asyncio.to_thread(self._read)
            self._by_hash = {key.hash: key for key in keys}
            self._by_cookie = {key.pass_hash: key for key in keys}
            self._read_at = time.monotonic()

    def _read(self) -> list[Key]:
        store = self._stores.reader(DEFAULT_PROJECT, 2.0)
        try:
            return active(store)
        finally:
            store.close()

    def admits(self, headers: Mapping[str, str], permission: str = INGEST) -> bool:
        return self._admit(self._shown_key(headers), permission)

    def caller(self, headers: Mapping[str, str]) -> str:
        key = self._shown_key(headers)
        return "" if key is None else key.hash

    def recognises(self, headers: Mapping[str, str]) -> bool:
        return self._shown_key(headers) is not None

    def is_valid(self, credential: object) -> bool:
        return self._admit(self._key(credential), INGEST)

    def login_cookie(self, credential: object) -> str | None:
        key = self._key(credential)
        if key is None or not key.allows(READ) or not isinstance(credential, str):
            return None
        return self._set_cookie(pass_of(credential))

    def _admit(self, key: Key | None, permission: str) -> bool:
        """Admit a request to the key's project, if the key has the permission."""
        if key is None or not key.allows(permission):
            return False
        PROJECT.set(key.project)
        MAY_READ.set(key.allows(READ))
        MAY_SCORE.set(key.allows(BOTH))
        KEY_NAME.set(key.name)
        return True

    def _shown_key(self, headers: Mapping[str, str]) -> Key | None:
        credentials = [*credentials_of(headers), headers.get("X-API-KEY", "")]
        if any(credentials):
            return next(filter(None, map(self._key, credentials)), None)
        for part in headers.get("Cookie", "").split(";"):
            name, _, value = part.strip().partition("=")
            if name == self._cookie and (key := self._by_cookie.get(hashed(value))) is not None:
                return key
        return None

    def _key(self, credential: object) -> Key | None:
        # By its hash: the time of the lookup reveals nothing about the key.
        if not isinstance(credential, str) or not credential:
            return None
        return self._by_hash.get(hashed(credential))
