"""The typed clients' one transport: a JSON API below a base URL, called with a key.

Runs in the user's event loop. Invariants: redirects are never followed, every call ends within its
timeout, a call is repeated only where that is safe, and no exception contains the key.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import ssl
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp
import attrs
import orjson

from sessiontrace.clients.errors import (
    ApiError,
    NoAnswerError,
    RateLimitError,
    UnexpectedAnswerError,
    of_status,
)
from sessiontrace.clients.pools import Pools
from sessiontrace.export.http.proxied import proxy_refusal, through
from sessiontrace.export.protocol import Reply, retry_after
from sessiontrace.model.errors import ConfigError
from sessiontrace.model.network import Network
from sessiontrace.model.secret import Secret
from sessiontrace.runtime.version import version
from sessiontrace.vendors.shared.responses import printable

__all__ = ["Answer", "Query", "Rest", "path_part"]

Query = Mapping[str, str | int | float | bool | list[str] | None]

_MAX_ANSWER = 64 << 20
_LONGEST_WAIT_S = 60.0
_BACKOFF_S = 0.5
_SAFE = frozenset({"GET", "HEAD", "PUT", "DELETE"})
_TRY_LATER = frozenset({429, 503})
_BROKEN = frozenset({500, 502, 504})


@attrs.frozen
class Answer:
    """A 2xx answer: its status and its decoded JSON (None when the body is empty)."""

    status: int
    value: Any


class Rest:
    """Calls of one API.

    ``timeout``: seconds for one attempt, ``connect_timeout`` for its connection. ``retries``: how
    often a call is repeated at most: always after 429 and 503; after a broken connection, 500, 502
    and 504 only where a second call has no further effect. ``proxy``, ``ca_file``, ``client_cert``,
    ``client_key``: as for destinations, with the same variables of the environment.
    """

    def __init__(
        self,
        base_url: str,
        key: Secret,
        *,
        key_header: str = "Authorization",
        key_prefix: str = "Bearer ",
        timeout: float = 30.0,
        connect_timeout: float = 5.0,
        retries: int = 2,
        proxy: str | Secret | None = None,
        ca_file: str | Path | None = None,
        client_cert: str | Path | None = None,
        client_key: str | Path | None = None,
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
    ) -> None:
        self.base_url: str = base_url.rstrip("/")
        self._key = key
        self._headers = (key_header, key_prefix)
        self._timeout = aiohttp.ClientTimeout(total=timeout, connect=connect_timeout)
        self._retries = retries
        network = Network.of(
            base_url,
            os.environ,
            proxy=proxy,
            ca_file=ca_file,
            client_cert=client_cert,
            client_key=client_key,
        )
        if faults := network.faults():
            raise ConfigError(faults)
        self._through = through(network.proxy, base_url)
        self._pools = Pools(context=network.certificates().context())
        self._sleep = sleep

    def __repr__(self) -> str:
        return f"Rest({self.base_url!r}, key=***)"

    async def close(self) -> None:
        """Close all connections. Idempotent."""
        await self._pools.close()

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: Any = None,
        repeatable: bool | None = None,
        raises: Callable[[ApiError, Reply], ApiError] | None = None,
    ) -> Answer:
        """Call the API, repeatedly where that is safe; return its answer or raise ``ClientError``.

        ``repeatable``: whether a second call has no further effect; default by method.
        ``raises`` may turn a refusal into a better exception.
        """
        repeatable = method in _SAFE if repeatable is None else repeatable
        attempt = 0
        while True:
            fault: NoAnswerError | None = None
            reply: Reply | None = None
            try:
                reply = await self._exchange(method, path, query, body)
            except NoAnswerError as error:
                fault = error
            attempt += 1
            wait = self._wait(reply, repeatable, attempt)
            if wait is not None:
                await self._sleep(wait)
                continue
            if reply is None:
                assert fault is not None
                raise fault from None
            return self._read(reply, method, path, raises)

    # -- one attempt ------------------------------------------------------------------------

    async def _exchange(self, method: str, path: str, query: Query | None, body: Any) -> Reply:
        session = await self._pools.get()
        header, prefix = self._headers
        headers = {
            **self._through.headers,
            header: prefix + self._key.reveal(),
            "Accept": "application/json",
            "User-Agent": f"sessiontrace/{version()}",
        }
        payload = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            payload = orjson.dumps(body)
        fault: NoAnswerError
        try:
            async with session.request(
                method,
                self.base_url + path,
                params=_params(query),
                data=payload,
                headers=headers,
                allow_redirects=False,
                timeout=self._timeout,
                proxy=self._through.proxy,
                proxy_headers=self._through.connect_headers,
            ) as response:
                content = await self._content(response)
                reply_headers = {
                    name.lower(): self._masked(v) for name, v in response.headers.items()
                }
                return Reply(response.status, reply_headers, content)
        except (aiohttp.ClientError, OSError, asyncio.TimeoutError) as error:
            fault = NoAnswerError(f"{method} {path}: {self._words(error)}")
        raise fault  # outside of any `except`: aiohttp's exceptions hold our headers

    async def _content(self, response: aiohttp.ClientResponse) -> bytes:
        parts: list[bytes] = []
        size = 0
        async for part in response.content.iter_any():
            parts.append(part)
            size += len(part)
            if size > _MAX_ANSWER:
                response.close()
                raise UnexpectedAnswerError(f"the answer is over {_MAX_ANSWER >> 20} MiB")
        key = self._key.reveal().encode()
        content = b"".join(parts)
        return content.replace(key, b"***") if key and key in content else content

    def _words(self, error: BaseException) -> str:
        host = urlsplit(self.base_url).netloc
        if isinstance(error, asyncio.TimeoutError):
            return f"no answer from {host} within {self._timeout.total:g} s"
        if isinstance(error, (aiohttp.ClientConnectorCertificateError, ssl.SSLError)):
            return f"the certificate of {host} is not trusted; name its authority in ca_file="
        if isinstance(error, aiohttp.ClientSSLError):
            return f"no TLS connection to {host}; check whether it speaks https"
        if isinstance(error, aiohttp.ClientProxyConnectionError):
            return "cannot connect to the proxy"
        if isinstance(error, aiohttp.ClientConnectorDNSError):
            return f"no address for {host}"
        if isinstance(error, aiohttp.ClientConnectorError):
            return f"cannot connect to {host} ({type(error.os_error).__name__})"
        if isinstance(error, aiohttp.ClientHttpProxyError):
            return proxy_refusal(error.status)
        return f"the connection to {host} broke ({type(error).__name__})"

    # -- replies ----------------------------------------------------------------------------

    def _wait(self, reply: Reply | None, repeatable: bool, attempt: int) -> float | None:
        """Seconds until the next attempt; None for no further attempt."""
        if attempt > self._retries:
            return None
        if reply is None:
            return _jitter(attempt) if repeatable else None
        if reply.status in _TRY_LATER or (repeatable and reply.status in _BROKEN):
            requested = retry_after(reply.headers)
            if requested is not None and requested > _LONGEST_WAIT_S:
                return None
            return max(_jitter(attempt), requested or 0.0)
        return None

    def _read(
        self,
        reply: Reply,
        method: str,
        path: str,
        raises: Callable[[ApiError, Reply], ApiError] | None,
    ) -> Answer:
        if 200 <= reply.status < 300:
            return Answer(reply.status, _json(reply, method, path))
        error = _refusal(reply, method, path)
        raise (raises(error, reply) if raises is not None else error)

    def _masked(self, text: str) -> str:
        key = self._key.reveal()
        return text.replace(key, "***") if key else text


def path_part(text: str) -> str:
    """An id as one part of a path, whatever characters it has."""
    if not isinstance(text, str) or not text or text in (".", ".."):
        raise ValueError(f"an id must be a text that is not empty, not {text!r}")
    return quote(text, safe="")


def _params(query: Query | None) -> list[tuple[str, str]] | None:
    """The query as pairs: without None values, with a pair for each item of a list."""
    if query is None:
        return None
    pairs: list[tuple[str, str]] = []
    for name, value in query.items():
        if isinstance(value, list):
            pairs.extend((name, item) for item in value)
        elif isinstance(value, bool):
            pairs.append((name, "true" if value else "false"))
        elif value is not None:
            pairs.append((name, str(value)))
    return pairs


def _json(reply: Reply, method: str, path: str) -> Any:
    if not reply.body.strip():
        return None
    try:
        return orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        kind = reply.headers.get("content-type", "no content type")
        raise UnexpectedAnswerError(
            f"{method} {path}: HTTP {reply.status} with a body that is not JSON ({kind}); "
            "check base_url"
        ) from None


def _refusal(reply: Reply, method: str, path: str) -> ApiError:
    """The exception for a reply outside 2xx, with the text that the reply has."""
    body: Any
    try:
        body = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        body = reply.body.decode(errors="replace")
    code: Any = None
    message: Any = body if isinstance(body, str) else ""
    if isinstance(body, dict):
        code = body.get("code") or body.get("errorCode")
        message = body.get("message") or body.get("detail") or body.get("error") or ""
    hint = ""
    if 300 <= reply.status < 400:
        place = re.sub(r"//[^/@]*@", "//", reply.headers.get("location", "nowhere"))
        message, hint = f"redirected to {place}", "redirects are not followed; check base_url"
    elif reply.status == 404 and isinstance(body, str):
        hint = "check base_url"
    if "<html" in str(message)[:500].lower():
        message = "a web page"
    error = of_status(reply.status)(
        reply.status,
        printable(message if isinstance(message, str) else orjson.dumps(message).decode()),
        code=code if isinstance(code, str) else None,
        body=body,
        method=method,
        path=path,
        hint=hint,
    )
    if isinstance(error, RateLimitError):
        error.retry_after = retry_after(reply.headers)
    return error


def _jitter(attempt: int) -> float:
    return random.uniform(0.0, _BACKOFF_S * 2.0**attempt)  # noqa: S311 - spreads load, no secret
