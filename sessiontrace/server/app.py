"""The server, composed: guard, API and page over one store; started and stopped here.

Everything runs on one event loop but reading, which has its threads. Invariant: nothing is
answered that the guard did not pass, and no answer shows a traceback.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import secrets
import signal
import socket
from collections.abc import Awaitable, Callable
from importlib import resources
from pathlib import Path

import orjson
from aiohttp import web
from aiohttp.typedefs import Middleware

from sessiontrace.model.errors import StoreBusyError, StoreError, StoreTimeoutError
from sessiontrace.model.secret import Secret
from sessiontrace.runtime.log import logger
from sessiontrace.server.apis.honeyhive import routes as honeyhive
from sessiontrace.server.apis.humanloop import routes as humanloop
from sessiontrace.server.apis.humanloop import routes_v5
from sessiontrace.server.apis.otlp import routes as otlp
from sessiontrace.server.apis.page import losses, sessions
from sessiontrace.server.apis.posthog import routes as posthog
from sessiontrace.server.change_stream import ChangeStream
from sessiontrace.server.connection_limits import Connections
from sessiontrace.server.http import BODY_MAX, RequestRejected, read_json
from sessiontrace.server.security import request_guard
from sessiontrace.server.security.api_key_auth import ApiKeyAuth
from sessiontrace.server.security.request_context import MAY_READ, PROJECT
from sessiontrace.server.security.token_auth import TokenAuth
from sessiontrace.server.store_readers import StoreReaders
from sessiontrace.server.store_writer import Retention, StoreWriter
from sessiontrace.store.models import DEFAULT_PROJECT
from sessiontrace.store.protocol import Stores

__all__ = ["make_app", "serve"]

_KEEPALIVE_S = 30.0
_STOP_S = 1.0
_YOUNG = 100_000  # objects: decoded requests hold many, all of them alive and none in a cycle

_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}

_Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def make_app(
    stores: Stores,
    port: int,
    version: str,
    retention: Retention,
    connections: Connections,
    token: Secret | None = None,
    *,
    keys: bool = False,
) -> web.Application:
    """The application over ``stores``, for a server that listens on ``port``.

    ``token``: what whoever asks must show; None: nothing. ``keys``: an API key instead.
    """
    access = ApiKeyAuth(stores, port) if keys else TokenAuth(token, port)
    app = web.Application(
        middlewares=[
            connections.middleware,
            _errors_told,
            _guarded(request_guard.hosts_of(port), access),
        ],
        client_max_size=BODY_MAX,
    )
    reading = StoreReaders(stores)
    writing = StoreWriter(stores, retention)
    live = ChangeStream(reading)
    app.add_routes(sessions.routes(reading, writing, sessions.About(version, stores.name)))
    app.add_routes(losses.routes(reading, writing))
    app.add_routes(live.routes())
    app.add_routes(honeyhive.routes(reading, writing))
    app.add_routes(humanloop.routes(reading, writing))
    app.add_routes(routes_v5.routes(reading, writing))
    app.add_routes(posthog.routes(reading, writing, access))
    app.add_routes(otlp.routes(writing))
    app.add_routes([web.post(request_guard.LOGIN, _login(access))])
    app.add_routes(_page())

    async def close(_: web.Application) -> None:
        await asyncio.to_thread(writing.close)
        await asyncio.to_thread(reading.close)
        await asyncio.to_thread(stores.close)

    app.on_shutdown.append(live.stop)
    app.on_cleanup.append(close)
    app.on_response_prepare.append(_add_headers)
    return app


async def serve(
    stores: Stores,
    host: str,
    port: int,
    version: str,
    ready: Callable[[str], None],
    retention: Retention | None = None,
    token: Secret | None = None,
    *,
    keys: bool = False,
) -> None:
    """Serve until SIGINT or SIGTERM; ``ready`` is given the URL when requests are answered.

    ``token`` or ``keys`` must be given where other machines reach ``host``.
    Makes or migrates the store first. Raises ``StoreError``, or ``OSError`` for the port.
    """
    await asyncio.to_thread(stores.open)
    _collect_seldom()
    stop = asyncio.Event()
    _stop_on_signals(stop)
    listener = _listen(host, port)
    port = listener.getsockname()[1]
    connections = Connections()
    runner = web.AppRunner(
        make_app(stores, port, version, retention or Retention(), connections, token, keys=keys),
        access_log=None,
        logger=_quiet(),
        keepalive_timeout=_KEEPALIVE_S,
        shutdown_timeout=_STOP_S,
    )
    await runner.setup()
    try:
        await web.SockSite(runner, listener).start()
        connections.watch(lambda: () if runner.server is None else runner.server.connections)
        ready(f"http://{_name(host)}:{port}/")
        await stop.wait()
    finally:
        connections.stop()
        await runner.cleanup()


def _collect_seldom() -> None:
    """Let the collector look at what is new only, and not at every few hundred objects."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 10, 10)


def _quiet() -> logging.Logger:
    """aiohttp's log without what clients do wrong: it tells a traceback for each broken body.

    Faults of ours are told by ``_errors_told``, through our own log.
    """
    found = logging.getLogger("sessiontrace.server.http")
    found.setLevel(logging.CRITICAL)
    return found


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=128)


def _name(host: str) -> str:
    """What to call this machine where it listens: no browser goes to 0.0.0.0."""
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared with
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host


def _stop_on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop.set)
        except (NotImplementedError, RuntimeError):  # Windows, or not in the main thread
            return


def _guarded(hosts: frozenset[str], access: TokenAuth) -> Middleware:
    @web.middleware
    async def guarded(request: web.Request, handler: _Answer) -> web.StreamResponse:
        PROJECT.set(DEFAULT_PROJECT)
        MAY_READ.set(True)
        await access.refresh(request.headers)
        refused = request_guard.refusal(
            request.method, request.path, request.headers, hosts, access
        )
        if refused is not None:
            return _told(refused.status, refused.reason)
        return await handler(request)

    return guarded


def _login(access: TokenAuth) -> _Answer:
    """``POST /api/login`` {token}: a cookie for the browser that has shown it."""

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            given = await read_json(request)
        except RequestRejected as error:
            return _told(error.status, error.reason)
        cookie = access.opens(given.get("token") if isinstance(given, dict) else None)
        if cookie is None and not access.open:
            return _told(401, "this is not the token")
        response = web.Response(body=b'{"ok":true}', content_type="application/json")
        if cookie is not None:
            response.headers["Set-Cookie"] = cookie
        return response

    return answer


@web.middleware
async def _errors_told(request: web.Request, handler: _Answer) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return _told(error.status, error.reason)
    except (StoreBusyError, StoreTimeoutError) as error:
        response = _told(503, str(error))
        response.headers["Retry-After"] = "1"
        return response
    except StoreError as error:
        return _told(503, str(error))
    except Exception:
        number = secrets.token_hex(4)
        logger().exception("request %s to %s failed", number, request.rel_url.path)
        return _told(500, f"internal error; the server's log has it as {number}")


def _told(status: int, reason: str) -> web.Response:
    asks = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    return web.Response(
        status=status,
        body=orjson.dumps({"error": reason}),
        content_type="application/json",
        headers={"Cache-Control": "no-store", **asks},
    )


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(request_guard.HEADERS)


def _page() -> list[web.RouteDef]:
    """A route for each file of the page, read once: no path ever comes from a request."""
    found = [web.get(f"/page/{name}", _file(name)) for name in _page_files()]
    index = _file("index.html")
    return [
        *found,
        web.get("/", index),
        web.get("/sessions/{id}", index),
        web.get("/compare/{a}/{b}", index),
    ]


def _page_files() -> list[str]:
    folder = Path(str(resources.files("sessiontrace.server"))) / "static"
    paths = (path for path in folder.rglob("*") if path.suffix in _TYPES)
    return sorted(path.relative_to(folder).as_posix() for path in paths)


def _file(name: str) -> _Answer:
    body = (resources.files("sessiontrace.server") / "static" / name).read_bytes()
    kind = _TYPES[Path(name).suffix]

    async def answer(request: web.Request) -> web.Response:
        return web.Response(
            body=body, content_type=kind, charset="utf-8", headers={"Cache-Control": "no-cache"}
        )

    return answer
