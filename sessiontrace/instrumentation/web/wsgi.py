"""WSGI middleware: one session (or span) around each request.

Runs in the thread of the request. Invariant: status, headers, body and exceptions pass through
unchanged; the session stays open while the body is streamed and ends when the server closes it; a
thread that serves the next request carries nothing of the last one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, MutableMapping
from typing import TYPE_CHECKING, Any

from sessiontrace.instrumentation.core.never_raises import never_raises
from sessiontrace.instrumentation.web.request import SEEN, Opened, Work, open_request, open_work
from sessiontrace.model.ids import now_by
from sessiontrace.runtime.signals import raise_if_from_signal

if TYPE_CHECKING:
    from sessiontrace.capture.tracer_state import TracerProtocol, TracerState

__all__ = ["Wsgi", "call_application", "open_environ"]

Environ = MutableMapping[str, Any]
RouteOf = Callable[[Environ], "str | None"]

_WHOLE = (list, tuple, bytes)  # bodies that are there already


class Wsgi:
    """A WSGI application around ``app``.

    ``ignore``: paths without a session (health checks). ``trust``: as of ``Asgi``.
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

    def __getattr__(self, name: str) -> Any:  # the attributes of the app: routes, config
        if name == "app":  # a copy in the making has no attribute yet
            raise AttributeError(name)
        return getattr(self.app, name)

    def __call__(self, environ: Environ, start_response: Any) -> Any:
        """Handle one request."""
        work = None
        if environ.get("PATH_INFO", "") not in self._ignore:
            work = open_environ(self._tracer, environ, self._trust)
        if work is None:
            return self.app(environ, start_response)
        return call_application(work, self.app, environ, start_response)


def open_environ(tracer: TracerProtocol, environ: Environ, trust: str | None = None) -> Work | None:
    """The work of a request; None where it is not recorded, or by an outer middleware already."""
    if SEEN in environ:
        return None

    def opened(recorder: TracerState) -> Opened:
        environ[SEEN] = True
        method = environ.get("REQUEST_METHOD")
        path = f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}"
        inputs = {"method": method, "path": path, "query": environ.get("QUERY_STRING", "")}
        client = environ.get("REMOTE_ADDR")
        headers = (
            (name[5:].replace("_", "-").lower(), value)
            for name, value in environ.items()
            if name.startswith("HTTP_") and isinstance(value, str)
        )
        metadata = {"client": client} if client else {}
        return open_request(recorder, f"{method} {path}", inputs, metadata, headers, trust)

    return open_work(tracer, opened)


def call_application(
    work: Work, app: Any, environ: Environ, start_response: Any, route_of: RouteOf | None = None
) -> Any:
    """The body of ``app``'s reply, inside ``work``, which ends with it."""
    reply = _Reply(work, environ, route_of or _route_of_werkzeug)

    def start(status: str, headers: Any, *others: Any) -> Any:
        reply.start(status)
        return start_response(status, headers, *others)

    try:
        body = work.run(app, environ, start)
    except BaseException as error:
        reply.end(error)
        raise
    wrapper = environ.get("wsgi.file_wrapper")
    is_file = isinstance(wrapper, type) and isinstance(body, wrapper)
    if isinstance(body, _WHOLE) or is_file:  # nothing of the program runs any more
        reply.end()
        return body
    return _Body(body, reply)


class _Reply:
    """What is known of a reply while it is sent."""

    def __init__(self, work: Work, environ: Environ, route_of: RouteOf) -> None:
        self.work = work
        self.chunks = 0
        self._environ = environ
        self._route_of = route_of
        self._status: int | None = None
        self._route: str | None = None
        self._started = 0

    def start(self, status: Any) -> None:
        """The application has a status."""
        self._started = now_by(self.work.handle.offset_ns)
        digits = str(status)[:3]
        self._status = int(digits) if digits.isdigit() else None
        try:
            self._route = self._route_of(self._environ)  # Flask forgets it with the request
        except Exception as fault:
            raise_if_from_signal(fault)

    def end(self, error: BaseException | None = None) -> None:
        """Record the reply and end the work."""
        try:
            self._record()
        except Exception as fault:
            raise_if_from_signal(fault)
        self.work.end(error)

    def _record(self) -> None:
        handle = self.work.handle
        if self._route is not None:
            handle.name = f"{self._environ.get('REQUEST_METHOD')} {self._route}"
        metrics: dict[str, Any] = {}
        if self._started:
            metrics["time_to_response_ms"] = (self._started - handle.start_ns) / 1_000_000
        if self.chunks > 1:
            metrics["chunks"] = self.chunks
        if self._status is not None:
            handle.set(outputs={"status": self._status}, metadata={"http_status": self._status})
        if metrics:
            handle.set(metrics=metrics)


class _Body:
    """The body of a reply: each chunk is made inside the request's work."""

    def __init__(self, body: Any, reply: _Reply) -> None:
        self._body = body
        self._chunks: Iterator[Any] | None = None
        self._reply = reply

    def __getattr__(self, name: str) -> Any:  # of a framework's response
        return getattr(self.__dict__["_body"], name)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            if self._chunks is None:
                self._chunks = self._reply.work.run(iter, self._body)
            chunk = self._reply.work.run(next, self._chunks)
        except StopIteration:
            raise
        except BaseException as error:
            self._reply.work.fail(error)
            raise
        self._reply.chunks += 1
        return chunk

    def close(self) -> None:
        """The server has sent the body, or the client has left."""
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                self._reply.work.run(close)
        except BaseException as error:
            self._reply.end(error)
            raise
        self._reply.end()

    @never_raises(None)
    def __del__(self) -> None:  # a server that never closes
        self._reply.end()


def _route_of_werkzeug(environ: Environ) -> str | None:
    """The route as Flask and other users of Werkzeug know it."""
    rule = getattr(environ.get("werkzeug.request"), "url_rule", None)
    path = getattr(rule, "rule", None)
    return f"{environ.get('SCRIPT_NAME', '')}{path}" if isinstance(path, str) else None
