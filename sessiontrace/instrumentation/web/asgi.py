"""ASGI middleware: one session (or span) around each request.

Runs in the server's event loop, in the task of the request. Invariant: messages pass through
unchanged in both directions; the session stays open for streamed bodies, for work in a thread pool
and for background tasks, and ends with the application's call.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from sessiontrace.capture.span import Span
from sessiontrace.instrumentation.web.request import SEEN, open_request
from sessiontrace.model.ids import now_by
from sessiontrace.runtime.signals import raise_if_from_signal

if TYPE_CHECKING:
    from sessiontrace.capture.tracer_state import TracerProtocol

__all__ = ["Asgi"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_MOUNTS_MAX = 16


class Asgi:
    """An ASGI application around ``app``.

    ``ignore``: paths without a session (health checks). ``trust``: what is taken from the headers,
    see `context.w3c`. A request with the trace headers of a program that uses sessiontrace is a
    span below that program's span; one with the trace headers of any other program is a turn of
    the session that they name. With ``trust="all"`` a request with an ``x-session-id`` header is a
    turn of that session.
    """

    def __init__(
        self,
        app: Any,
        tracer: TracerProtocol,
        *,
        ignore: Iterable[str] = (),
        trust: str | None = None,
    ) -> None:
        self.app = app
        self._tracer = tracer
        self._ignore = frozenset(ignore)
        self._trust = trust

    def __getattr__(self, name: str) -> Any:  # the attributes of the app: routes, state, router
        if name == "app":  # a copy in the making has no attribute yet
            raise AttributeError(name)
        return getattr(self.app, name)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; the server's start and end pass through."""
        opened = self._open(scope) if scope["type"] in ("http", "websocket") else None
        if opened is None:
            await self.app(scope, receive, send)
            return
        context, handle = opened
        reply = _ReplyRecorder(handle, send, scope.get("app", self.app))
        with context, handle:
            try:
                await self.app(scope, receive, reply.send)
            finally:
                reply.record(scope)

    def _open(self, scope: Scope) -> tuple[AbstractContextManager[object], Span] | None:
        """The context of a request and its handle, not entered; None: not recorded."""
        try:
            tracer = self._tracer
            path = scope.get("path", "")
            if tracer.off or path in self._ignore or SEEN in scope:
                return None
            scope[SEEN] = True
            recorder = tracer.recorder or tracer.begin()
            if recorder is None:
                return None
            name = f"{scope.get('method', 'WEBSOCKET')} {path}"
            query = scope.get("query_string", b"").decode("latin-1")
            inputs = {"method": scope.get("method"), "path": path, "query": query}
            client = scope.get("client")
            metadata = {"client": client[0]} if client else {}
            headers = (
                (key.decode("latin-1").lower(), value.decode("latin-1"))
                for key, value in scope.get("headers") or ()
            )
            return open_request(recorder, name, inputs, metadata, headers, self._trust)
        except Exception as fault:
            raise_if_from_signal(fault)
            return None


class _ReplyRecorder:
    """Observes the messages to the client."""

    __slots__ = ("_app", "_chunks", "_ended", "_handle", "_send", "_started", "_status")

    def __init__(self, handle: Span, send: Send, app: Any) -> None:
        self._app = app
        self._handle = handle
        self._send = send
        self._status: int | None = None
        self._started = 0
        self._ended = 0
        self._chunks = 0

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Pass a message on, and note its status, time or chunk."""
        kind = message["type"]
        if kind == "http.response.start":
            self._status = message.get("status")
            self._started = now_by(self._handle.offset_ns)
        elif kind == "http.response.body":
            self._chunks += 1
            if not message.get("more_body"):
                self._ended = now_by(self._handle.offset_ns)
        await self._send(message)

    def record(self, scope: Scope) -> None:
        """Put the reply on the handle, and name the handle after the route of the request."""
        handle = self._handle
        try:
            route = _route_of(scope, self._app)
        except Exception as fault:  # routes of another framework
            raise_if_from_signal(fault)
            route = None
        if route is not None:
            handle.name = f"{scope.get('method', 'WEBSOCKET')} {route}"
        metrics: dict[str, Any] = {}
        if self._started:
            metrics["time_to_response_ms"] = (self._started - handle.start_ns) / 1_000_000
        if self._ended:
            metrics["response_ms"] = (self._ended - handle.start_ns) / 1_000_000
        if self._chunks > 1:
            metrics["chunks"] = self._chunks
        if self._status is not None:
            handle.set(outputs={"status": self._status}, metadata={"http_status": self._status})
        if metrics:
            handle.set(metrics=metrics)


def _route_of(scope: Scope, app: Any) -> str | None:
    """The route of a request to ``app``, as the application wrote it; None when it names none.

    Below a mount the framework's scope names the mount or nothing, so the route is looked for as
    the framework has done. ``app_root_path`` is what a proxy put before it, which no route has.
    """
    path = getattr(scope.get("route"), "path", None)
    outer = scope.get("app_root_path", scope.get("root_path", ""))
    if outer == scope.get("root_path", ""):
        return path if isinstance(path, str) else None
    routes = getattr(app, "routes", ())
    here = {**scope, "root_path": outer}
    template: str = ""
    for _ in range(_MOUNTS_MAX):
        for route in routes or ():
            match, child = route.matches(here)
            if match.name == "FULL":
                break
        else:
            return None
        template += str(route.path)
        routes = getattr(route, "routes", None)
        if routes is None:
            return template
        here.update(child)
    return None
