"""The server, composed of guard, APIs and page over one store; this module starts and stops it.

Everything runs on one event loop, but reading and writing the store have threads of their own.
Invariant: every request passes the guard before any route, and no response shows a traceback.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import secrets
import signal
import socket
from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Middleware

from sessiontrace.model.errors import StoreError
from sessiontrace.model.secret import Secret
from sessiontrace.pricing.prices import Prices
from sessiontrace.runtime.log import logger
from sessiontrace.server import page_files
from sessiontrace.server.apis.honeyhive import routes as honeyhive_routes
from sessiontrace.server.apis.humanloop import routes as humanloop_routes
from sessiontrace.server.apis.humanloop import routes_v5 as humanloop_routes_v5
from sessiontrace.server.apis.langfuse import routes as langfuse_routes
from sessiontrace.server.apis.mcp.routes import McpEndpoint
from sessiontrace.server.apis.otlp import grpc_server
from sessiontrace.server.apis.otlp import routes as otlp_routes
from sessiontrace.server.apis.otlp.intake import Intake
from sessiontrace.server.apis.page import (
    compare,
    dashboard,
    deletion,
    export,
    judgements,
    losses,
    markdown_trees,
    media,
    sessions,
)
from sessiontrace.server.apis.page import retention as retention_routes
from sessiontrace.server.apis.posthog import routes as posthog_routes
from sessiontrace.server.change_stream import ChangeStream
from sessiontrace.server.connection_limits import Connections
from sessiontrace.server.garbage_collection import tune_garbage_collection
from sessiontrace.server.http import (
    BODY_MAX,
    LEASE,
    Handler,
    decode_json,
    encoded_response,
    error_response,
    read_unchecked_body,
    store_error_response,
    with_vendor_errors,
)
from sessiontrace.server.intake_counts import IntakeCounts
from sessiontrace.server.security import request_guard
from sessiontrace.server.security.api_key_auth import ApiKeyAuth
from sessiontrace.server.security.body_budget import BodyBudget
from sessiontrace.server.security.intake_budget import IntakeBudget
from sessiontrace.server.security.request_context import (
    KEY_NAME,
    MAY_READ,
    MAY_SCORE,
    PROJECT,
)
from sessiontrace.server.security.token_auth import TokenAuth
from sessiontrace.server.store_readers import StoreReaders
from sessiontrace.server.store_writer import Retention, RetentionChange, StoreWriter
from sessiontrace.store.media.limits import DEFAULT_LIMITS, MediaLimits
from sessiontrace.store.models import DEFAULT_PROJECT
from sessiontrace.store.protocol import Stores

__all__ = ["make_app", "serve"]

_KEEPALIVE_S = 30.0
_STOP_S = 1.0
_LOGIN_MAX = 16 << 10  # bytes: a token has at most 4096 characters

_POLICY = "Content-Security-Policy"
_INTAKE = web.AppKey("intake", Intake)
_AUTH = web.AppKey("auth", TokenAuth)
_BUDGET = web.AppKey("budget", IntakeBudget)


def make_app(
    stores: Stores,
    port: int,
    version: str,
    retention: Retention | RetentionChange | None,
    connections: Connections,
    token: Secret | None = None,
    *,
    keys: bool = False,
    prices: Prices | None = None,
    media_limits: MediaLimits | None = DEFAULT_LIMITS,
) -> web.Application:
    """The application over ``stores``, for a server that listens on ``port``.

    ``token``: requests must show it; None: no token is required. ``keys``: requests must show an
    API key instead. ``prices``: of calls whose clients report no cost. ``media_limits``: of the
    images, sounds and files that are stored; None stores none.
    """
    auth = ApiKeyAuth(stores, port) if keys else TokenAuth(token, port)
    intake_budget = IntakeBudget()
    app = web.Application(
        middlewares=[
            connections.middleware,
            _errors_as_responses,
            _guard(request_guard.hosts_of(port), auth, intake_budget),
        ],
        client_max_size=BODY_MAX,
    )
    readers = StoreReaders(stores)
    writer = StoreWriter(stores, retention, prices or Prices(), media_limits)
    changes = ChangeStream(readers, auth)
    budget = BodyBudget()
    counts = IntakeCounts()
    intake = Intake(writer, counts)
    app[_INTAKE], app[_AUTH], app[_BUDGET] = intake, auth, intake_budget
    app.add_routes(sessions.routes(readers, sessions.About(version, stores.name), counts))
    app.add_routes(judgements.routes(readers, writer))
    app.add_routes(export.routes(readers))
    app.add_routes(compare.routes(readers))
    app.add_routes(dashboard.routes(readers))
    app.add_routes(deletion.routes(writer))
    app.add_routes(losses.routes(readers, writer))
    app.add_routes(media.routes(readers))
    app.add_routes(retention_routes.routes(writer, media_limits))
    app.add_routes(markdown_trees.routes())
    app.add_routes(changes.routes())
    app.add_routes(honeyhive_routes.routes(readers, writer))
    app.add_routes(humanloop_routes.routes(readers, writer))
    app.add_routes(humanloop_routes_v5.routes(readers, writer, intake))
    app.add_routes(posthog_routes.routes(readers, writer, auth, budget))
    app.add_routes(otlp_routes.routes(intake))
    app.add_routes(langfuse_routes.routes(readers, intake, version))
    app.add_routes([web.post(request_guard.LOGIN, _login(auth, budget))])
    mcp = McpEndpoint(readers, version)
    app.add_routes(mcp.routes())
    page_files.add_to(app)

    async def close(_: web.Application) -> None:
        await mcp.close()
        await asyncio.to_thread(intake.close)
        await asyncio.to_thread(writer.close)
        await asyncio.to_thread(readers.close)
        await asyncio.to_thread(stores.close)

    app.on_shutdown.append(changes.stop)
    app.on_cleanup.append(close)
    app.on_response_prepare.append(_add_headers)
    return app


async def serve(
    stores: Stores,
    host: str,
    port: int,
    version: str,
    ready: Callable[[str, int | None], None],
    retention: Retention | RetentionChange | None = None,
    token: Secret | None = None,
    *,
    keys: bool = False,
    prices: Prices | None = None,
    grpc_port: int | None = None,
    media_limits: MediaLimits | None = DEFAULT_LIMITS,
) -> None:
    """Serve until SIGINT or SIGTERM; calls ``ready`` with the URL once it answers requests.

    ``grpc_port``: takes OTLP over gRPC too; ``ready`` gets the port that it listens on.
    ``token`` or ``keys`` is required where other machines reach ``host``. Creates or migrates the
    store first. Raises ``StoreError``, ``OSError`` for a
    port, or ``GrpcUnavailableError``.
    """
    await asyncio.to_thread(stores.open)
    tune_garbage_collection()
    stop = asyncio.Event()
    _stop_on_signals(stop)
    listener = _listen(host, port)
    port = listener.getsockname()[1]
    connections = Connections()
    app = make_app(
        stores,
        port,
        version,
        retention,
        connections,
        token,
        keys=keys,
        prices=prices,
        media_limits=media_limits,
    )
    runner = web.AppRunner(
        app,
        access_log=None,
        logger=_silent_http_logger(),
        keepalive_timeout=_KEEPALIVE_S,
        shutdown_timeout=_STOP_S,
        auto_decompress=False,  # `BodyDecoder` does it, for senders that the guard admits
    )
    await runner.setup()
    stop_grpc = None
    try:
        if grpc_port is not None:
            grpc_port, stop_grpc = await grpc_server.start(
                app[_INTAKE], app[_AUTH], app[_BUDGET], host, grpc_port
            )
        await web.SockSite(runner, listener).start()
        connections.watch(lambda: () if runner.server is None else runner.server.connections)
        ready(f"http://{_display_host(host)}:{port}/", grpc_port)
        await stop.wait()
    finally:
        connections.stop()
        if stop_grpc is not None:
            await stop_grpc()
        await runner.cleanup()


def _silent_http_logger() -> logging.Logger:
    """A logger for aiohttp, which would log a traceback for each broken body of a client.

    ``_errors_as_responses`` logs the server's own errors.
    """
    http_logger = logging.getLogger("sessiontrace.server.http")
    http_logger.setLevel(logging.CRITICAL)
    return http_logger


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except (TypeError, UnicodeError) as error:  # a name that the resolver cannot write
        raise OSError(errno.EINVAL, "this is not an address") from error


def _display_host(host: str) -> str:
    """The host for the URL to show: no browser opens 0.0.0.0."""
    if host in ("0.0.0.0", "::"):  # noqa: S104 - only compared
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host


def _stop_on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop.set)
        except (NotImplementedError, RuntimeError):  # Windows, or not in the main thread
            return


def _guard(hosts: frozenset[str], auth: TokenAuth, budget: IntakeBudget) -> Middleware:
    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        PROJECT.set(DEFAULT_PROJECT)
        MAY_READ.set(True)
        MAY_SCORE.set(True)
        KEY_NAME.set("")
        await auth.refresh(request.headers)
        refused = request_guard.refusal(request.method, request.path, request.headers, hosts, auth)
        if refused is not None:
            return error_response(refused.status, refused.reason)
        with budget.lease(auth.caller(request.headers)) as lease:
            request[LEASE] = lease
            return await handler(request)

    return guarded


def _login(auth: TokenAuth, budget: BodyBudget) -> Handler:
    """``POST /api/login`` {token}: a cookie for a browser that shows the token."""

    async def login(request: web.Request) -> web.StreamResponse:
        body = decode_json(await read_unchecked_body(request, budget, _LOGIN_MAX))
        cookie = auth.login_cookie(body.get("token") if isinstance(body, dict) else None)
        if cookie is None and not auth.open:
            return error_response(401, "this is not the token")
        return encoded_response(b'{"ok":true}', headers={"Set-Cookie": cookie} if cookie else None)

    return with_vendor_errors(login, error_response)


@web.middleware
async def _errors_as_responses(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        if error.status == 404 and (page := page_files.not_found(request)) is not None:
            return page
        return error_response(error.status, _explained(request, error))
    except StoreError as error:
        return store_error_response(error, error_response)
    except Exception:
        number = secrets.token_hex(4)
        logger().exception("request %s to %s failed", number, request.rel_url.path)
        return error_response(500, f"internal error; see request {number} in the server's log")


def _explained(request: web.Request, error: web.HTTPException) -> str:
    if error.status == 404:
        return (
            f"{request.path} is not a path of this server; OTLP is taken at /v1/traces, /v1/logs "
            "and /v1/metrics"
        )
    if isinstance(error, web.HTTPMethodNotAllowed):
        methods = " or ".join(sorted(error.allowed_methods))
        return f"{request.path} takes {methods}, not {request.method}"
    return error.reason


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    stricter = response.headers.get(_POLICY)  # media have a policy of their own
    response.headers.update(request_guard.HEADERS)
    if stricter is not None:
        response.headers[_POLICY] = stricter
