"""The HTTP transport: one aiohttp session a lane, in the sender's loop; the only sender of bytes.

The sender's thread imports this module, because aiohttp is heavy. Invariants: every attempt ends
within its total timeout; redirects are never followed; and no exception or reply that leaves this
module holds a key, whatever the other side sent.
"""

from __future__ import annotations

import asyncio
import os
import re
import ssl
from collections import deque
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, AbstractStreamWriter, ResolveResult
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from sessiontrace.export.http.proxied import PROXY_LOGIN, proxy_refusal, through
from sessiontrace.export.http.resolver import Addresses
from sessiontrace.export.http.small_exchange import SmallExchange, UnfitError
from sessiontrace.export.protocol import Reply, Request, UntrustedError
from sessiontrace.export.request_body import RequestBody
from sessiontrace.model.certificates import CertificatesError
from sessiontrace.model.network import Network, default_network
from sessiontrace.model.record import Record
from sessiontrace.model.secret import Secret
from sessiontrace.runtime.version import version

__all__ = ["HttpTransport"]

_CONNECT_S = 5.0
_TOTAL_S = 10.0
_PER_MEBI_S = 1.0
_MAX_REPLY = 64 << 10
_MEBI = 1 << 20
_REFUSALS = re.compile(  # alerts of TLS 1.2 and 1.3 about the client's certificate
    "ALERT[_ ](CERTIFICATE[_ ](REQUIRED|EXPIRED|REVOKED|UNKNOWN)|UNKNOWN[_ ]CA|BAD[_ ]CERTIFICATE"
    "|HANDSHAKE[_ ]FAILURE)"
)
_PLAIN_URL = re.compile(r"https?://[^/@]+(/|\Z)")  # no user and password, which aiohttp reads
_READ_AT_ONCE = 1 << 16
_ONE_PIECE = 1 << 16  # up to here, body and headers go out in one call of the socket


class HttpTransport:
    """Sends requests below ``base_url``, with ``key`` in a header when there is one.

    Construct it inside the running loop. A whole attempt may take ``total`` seconds
    (default 10) and ``per_mebi`` more for each MiB of a body above 64 KiB, ``connect`` of them
    until there is a connection. ``network``: proxy and certificates; default: those of the
    destination that connects, else the environment's.
    """

    def __init__(
        self,
        base_url: str,
        key: Secret | None = None,
        *,
        key_header: str = "Authorization",
        key_prefix: str = "Bearer ",
        headers: Mapping[str, str] | None = None,
        total: float | None = None,
        per_mebi: float = _PER_MEBI_S,
        connect: float = _CONNECT_S,
        network: Network | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._key = key
        self._total = _TOTAL_S if total is None else total
        self._per_mebi = per_mebi
        self._connect = connect
        network = network or default_network.get() or Network.of(base_url, os.environ)
        self._certificates = network.certificates()
        self._proxy = network.proxy
        self._through = through(network.proxy, base_url)
        self._context = ssl_context
        # Of each request, not of the session: aiohttp sends a session's headers to the proxy too.
        self._headers = {
            "Content-Type": "application/json",
            "User-Agent": f"sessiontrace/{version()}",
            **(headers or {}),
            **({key_header: key_prefix + key.reveal()} if key else {}),
            **self._through.headers,
        }
        self._sees_reuse = _connector_class() is _RotatingConnector
        self._session: aiohttp.ClientSession | None = None
        self._small: SmallExchange | None = None

    def __repr__(self) -> str:
        return f"HttpTransport({self._base_url!r})"

    async def send(self, request: Request, records: Sequence[Record]) -> Reply:
        """The backend's reply; OSError, TimeoutError or UntrustedError when there is none."""
        session = self._session or self._open()
        for attempt in (1, 2):
            _connected.set(not self._sees_reuse)
            try:
                return await self._exchange(session, request)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                # The peer closed an idle connection just as it was used: that is not a failure.
                if attempt == 2 or _connected.get() or isinstance(error, _NOT_STALE):
                    fault = _fault(error)
                    break
            except _FAULTS as error:
                fault = _fault(error)
                break
        if isinstance(fault, UntrustedError):
            self._renew()
        raise fault  # outside of any `except`: aiohttp's own exceptions hold our headers

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        """The session, from the first request on; ``UntrustedError`` without the files it needs."""
        if self._proxy is not None and self._proxy.fault:
            raise UntrustedError(self._proxy.fault)
        try:
            self._context = self._context or self._certificates.context()
        except CertificatesError as error:
            raise UntrustedError(str(error)) from None
        connector = _connector_class()(
            limit=0,  # the lane bounds what is in flight
            resolver=_Resolver(),
            use_dns_cache=False,
            ssl=self._context or True,
        )
        self._session = aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
        )
        if self._proxy is None and _PLAIN_URL.match(self._base_url):
            self._small = SmallExchange(
                connector,
                self._base_url,
                self._headers,
                total=self._total,
                connect=self._connect,
                longest=_MAX_REPLY,
                has_opened=_connected.get,
            )
        return self._session

    def _renew(self) -> None:
        """Read the certificates again: short-lived ones are replaced while a program runs."""
        if self._context is not None:
            try:
                self._certificates.load(self._context)
            except CertificatesError:
                pass  # those in use stay; the fault of this request is reported

    async def _exchange(self, session: aiohttp.ClientSession, request: Request) -> Reply:
        body, url = request.content, self._base_url + request.path
        small = body.size <= _ONE_PIECE
        if small and self._small is not None:
            try:
                answer = await self._small.send(request.method, request.path, bytes(body))
                return self._reply(*answer)
            except UnfitError:
                self._small = None
        async with session.request(
            request.method,
            _url(url),
            data=bytes(body) if small else _Pieces(body),
            allow_redirects=False,
            timeout=self._timeout(0 if small else body.size),
            headers=self._headers,
            proxy=self._through.proxy,
            proxy_headers=self._through.connect_headers,
        ) as response:
            if self._proxy is not None and response.status == PROXY_LOGIN:
                raise UntrustedError(proxy_refusal(PROXY_LOGIN))
            return self._reply(response.status, response.headers, await self._read(response))

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        """At most 64 KiB of the decoded body; the connection is closed where there is more."""
        content = response.content
        body = b""
        while len(body) < _MAX_REPLY and not content.at_eof():  # nearly always once
            body += await content.read(_MAX_REPLY - len(body))
        if not content.at_eof():
            response.close()
        return body

    def _reply(self, status: int, headers: Mapping[str, str], body: bytes) -> Reply:
        """The reply without our key, which the other side may have repeated."""
        key = self._key.reveal() if self._key else ""
        encoded = key.encode()
        names = {
            name.lower(): value.replace(key, "***") if key and key in value else value
            for name, value in headers.items()
        }
        return Reply(
            status, names, body.replace(encoded, b"***") if key and encoded in body else body
        )

    def _timeout(self, size: int) -> aiohttp.ClientTimeout:
        total = self._total + self._per_mebi * size / _MEBI
        return aiohttp.ClientTimeout(total=total, connect=self._connect)


@lru_cache(maxsize=16)  # most requests go to one or two addresses; an update has one of its own
def _url(address: str) -> URL:
    return URL(address)


class _Pieces(aiohttp.Payload):
    """A body for aiohttp, which takes it piece by piece, from its beginning at every attempt."""

    _autoclose = True  # there is nothing to close

    def __init__(self, body: RequestBody) -> None:
        super().__init__(body)
        self._size = body.size

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return bytes(self._value).decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        await self.write_with_length(writer, None)

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        for piece in self._value:
            await writer.write(piece)
            await asyncio.sleep(0)  # the loop keeps pace


class _RotatingConnector(aiohttp.TCPConnector):
    """Reuses the connection that was idle for the shortest time, so that a burst's surplus closes.

    aiohttp reuses the one that was idle for the longest: each gets its turn before it expires, and
    the 32 connections of one burst stay open as long as there are requests. aiohttp has no option
    for the order, so this class overrides private methods; ``_connector_class`` checks that they
    exist.
    """

    def _release(self, key: Any, *args: Any, **options: Any) -> None:
        super()._release(key, *args, **options)
        idle = getattr(self, "_conns", {}).get(key)
        if isinstance(idle, deque) and len(idle) > 1:
            idle.rotate()  # the connection put behind the others comes first

    # Notes that a request opened a connection; aiohttp's own tracing costs a tenth of the request.
    async def _create_connection(self, *args: Any, **options: Any) -> Any:
        _connected.set(True)
        protocol = await super()._create_connection(*args, **options)
        # asyncio allocates 256 KiB for each look at a socket: a third of the time of a request.
        transport: Any = protocol.transport
        if hasattr(transport, "max_size"):
            transport.max_size = _READ_AT_ONCE
        return protocol


def _connector_class(base: type[aiohttp.TCPConnector] = aiohttp.TCPConnector) -> type[Any]:
    """The rotating connector, or aiohttp's own where this aiohttp lacks what it overrides.

    With aiohttp's own, connections of a burst stay open longer, and a request that fails on a
    connection closed by the peer is retried by the lane instead of at once.
    """
    overridden = ("_release", "_create_connection")
    fits = all(callable(getattr(base, name, None)) for name in overridden)
    return _RotatingConnector if fits else base


class _Resolver(AbstractResolver):
    """``Addresses`` as a resolver of aiohttp."""

    def __init__(self) -> None:
        self._addresses = Addresses()

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host, host=numeric, port=at, family=kind, proto=protocol, flags=0
            )
            for kind, protocol, numeric, at in await self._addresses.resolve(host, port, family)
        ]

    async def close(self) -> None:
        """There is nothing to close."""


_connected: ContextVar[bool] = ContextVar("sessiontrace_connected", default=True)
"""Whether the request of this task has opened a connection; else it reuses an idle one."""

_FAULTS = (aiohttp.ClientError, HttpProcessingError, OSError, ValueError, asyncio.TimeoutError)
_NOT_STALE = (aiohttp.ClientConnectorError, aiohttp.ServerTimeoutError)


def _fault(error: Exception) -> OSError:
    """What went wrong, in words that users may see: no headers, no body, no key."""
    if isinstance(error, UntrustedError):
        return error
    if isinstance(error, (aiohttp.ClientConnectorCertificateError, ssl.SSLCertVerificationError)):
        return UntrustedError(f"the certificate of {_place(error)} is not trusted")
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return OSError(f"no address for {_place(error)}")
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return OSError(f"cannot connect to the proxy {_place(error)}")
    if isinstance(error, aiohttp.ClientHttpProxyError):
        permanent = 400 <= error.status < 500 and error.status not in (408, 429)
        return (UntrustedError if permanent else OSError)(proxy_refusal(error.status))
    if _wants_client_certificate(error):
        return UntrustedError(
            "the server did not accept the client certificate; check client_cert= and client_key="
        )
    if isinstance(error, aiohttp.ClientConnectorError):
        cause = type(error.os_error).__name__
        return OSError(f"cannot connect to {_place(error)} ({cause})")
    if isinstance(error, aiohttp.InvalidURL):
        return UntrustedError("the URL is not valid")
    if isinstance(error, (TimeoutError, asyncio.TimeoutError)):
        return TimeoutError("no answer in time")
    if isinstance(error, (aiohttp.ClientResponseError, HttpProcessingError)):
        return OSError("the answer is not HTTP")  # its status is the parser's invention
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return OSError("the connection was closed without an answer")
    return OSError(f"the connection broke ({type(error).__name__})")


def _wants_client_certificate(error: BaseException | None) -> bool:
    """Whether the server ended the handshake for the lack of a client certificate it trusts."""
    while error is not None:
        reason = getattr(error, "reason", None) or ""
        if isinstance(error, ssl.SSLError) and _REFUSALS.search(f"{reason} {error}".upper()):
            return True
        error = getattr(error, "os_error", None) or error.__cause__ or error.__context__
    return False


def _place(error: Any) -> str:
    host, port = getattr(error, "host", None), getattr(error, "port", None)
    return f"{host}:{port}" if host else "the server"
