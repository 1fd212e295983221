"""aiohttp-server: each request to a server is a session, until the last byte of its reply.

The wrappers run in the server's event loop, in the connection's task, which serves one request
after the other. Invariant: without ``sessiontrace run`` it is instrumented only by name, and a
request leaves nothing to the next one of its connection.
"""

from __future__ import annotations

import functools
from contextvars import ContextVar
from types import ModuleType
from typing import Any

from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.core.method_patching import MethodPatcher
from sessiontrace.instrumentation.core.model_calls import CallRecorder
from sessiontrace.instrumentation.core.never_raises import never_raises
from sessiontrace.instrumentation.web.request import Work, open_request, open_work

_work: ContextVar[Work | None] = ContextVar("sessiontrace.aiohttp", default=None)


class AiohttpServer:
    """The instrumentor of aiohttp's server."""

    def __init__(self) -> None:
        self._patcher = MethodPatcher()

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Wrap how a connection serves a request and answers an exception."""
        handler = module.RequestHandler
        self._patcher.patch(handler, "_handle_request", lambda original: _serve(original, calls))
        self._patcher.patch(handler, "handle_error", _answer_error)

    def uninstall(self) -> None:
        """Put the methods back."""
        self._patcher.restore()


ENTRY = Entry(
    name="aiohttp-server", target="aiohttp.web_protocol", make=AiohttpServer, by_default=False
)


def _serve(original: Any, calls: CallRecorder) -> Any:
    @functools.wraps(original)
    async def handle_request(connection: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        work = _open(calls, request)
        if work is None:
            return await original(connection, request, *args, **kwargs)
        token, before = _work.set(work), work.resume()
        try:
            answer = await original(connection, request, *args, **kwargs)
        except BaseException as error:
            work.pause(before)
            work.end(error)
            raise
        else:
            work.pause(before)
            _describe(work, request, answer)
            work.end()
        finally:
            _work.reset(token)
        return answer

    return handle_request


def _answer_error(original: Any) -> Any:
    @functools.wraps(original)
    def handle_error(
        connection: Any, request: Any, status: int = 500, exc: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        work = _work.get()
        if work is not None and isinstance(exc, BaseException):
            work.fail(exc)
        return original(connection, request, status, exc, *args, **kwargs)

    return handle_error


@never_raises(None)
def _open(calls: CallRecorder, request: Any) -> Work | None:
    if not calls.enabled:
        return None
    inputs = {"method": request.method, "path": request.path, "query": request.query_string}
    metadata = {"client": request.remote} if request.remote else {}
    headers = [(name.lower(), value) for name, value in request.headers.items()]
    name = f"{request.method} {request.path}"
    return open_work(
        calls.tracer,
        lambda recorder: open_request(recorder, name, inputs, metadata, headers),
    )


@never_raises(None)
def _describe(work: Work, request: Any, answer: Any) -> None:
    match = getattr(request, "match_info", None)
    resource = getattr(getattr(match, "route", None), "resource", None)
    if (route := getattr(resource, "canonical", None)) is not None:
        work.handle.name = f"{request.method} {route}"
    status = getattr(answer[0] if isinstance(answer, tuple) else answer, "status", None)
    if status is not None:
        work.handle.set(outputs={"status": status}, metadata={"http_status": status})
