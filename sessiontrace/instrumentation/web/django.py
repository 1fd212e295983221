"""django: each request is a session, with sync and async views and streamed bodies.

The wrappers run where Django answers a request, in its thread or task, behind any server and in
Django's test client. Invariant: without ``sessiontrace run`` it is instrumented only by name; a
request that a middleware of ours around the application records is not recorded twice.
"""

from __future__ import annotations

import functools
import importlib
import sys
from types import ModuleType
from typing import Any

from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.core.method_patching import MethodPatcher
from sessiontrace.instrumentation.core.model_calls import CallRecorder
from sessiontrace.instrumentation.core.never_raises import never_raises
from sessiontrace.instrumentation.web.request import SEEN, Work
from sessiontrace.instrumentation.web.wsgi import open_environ

_WORK = "_sessiontrace_work"


class Django:
    """The instrumentor of django."""

    def __init__(self) -> None:
        self._patcher = MethodPatcher()
        self._signal: Any = None

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Wrap the two methods with which handlers answer; learn of exceptions by the signal."""
        handler = module.BaseHandler
        self._patcher.patch(handler, "get_response", lambda original: _answer(original, calls))
        self._patcher.patch(
            handler, "get_response_async", lambda original: _answer_async(original, calls)
        )
        signals: Any = importlib.import_module("django.core.signals")
        self._signal = signals.got_request_exception
        self._signal.connect(_fail, weak=False, dispatch_uid="sessiontrace")

    def uninstall(self) -> None:
        """Put the methods back and disconnect."""
        self._patcher.restore()
        if self._signal is not None:
            self._signal.disconnect(dispatch_uid="sessiontrace")


ENTRY = Entry(name="django", target="django.core.handlers.base", make=Django, by_default=False)


def _answer(original: Any, calls: CallRecorder) -> Any:
    @functools.wraps(original)
    def get_response(handler: Any, request: Any) -> Any:
        work = _open(calls, request)
        if work is None:
            return original(handler, request)
        try:
            response = work.run(original, handler, request)
        except BaseException as error:
            work.end(error)
            raise
        _follow(work, request, response)
        return response

    return get_response


def _answer_async(original: Any, calls: CallRecorder) -> Any:
    @functools.wraps(original)
    async def get_response_async(handler: Any, request: Any) -> Any:
        work = _open(calls, request)
        if work is None:
            return await original(handler, request)
        before = work.resume()
        try:
            response = await original(handler, request)
        except BaseException as error:
            work.pause(before)
            work.end(error)
            raise
        work.pause(before)
        _follow(work, request, response)
        return response

    return get_response_async


@never_raises(None)
def _open(calls: CallRecorder, request: Any) -> Work | None:
    if not calls.enabled:
        return None
    scope = getattr(request, "scope", None)
    if isinstance(scope, dict):
        if SEEN in scope:
            return None
        scope[SEEN] = True
        environ = {name: value for name, value in request.META.items() if name != SEEN}
    else:
        environ = request.META
    work = open_environ(calls.tracer, environ)
    if work is not None:
        setattr(request, _WORK, work)
    return work


@never_raises(None)
def _fail(sender: Any = None, request: Any = None, **others: Any) -> None:
    work, error = getattr(request, _WORK, None), sys.exc_info()[1]
    if isinstance(work, Work) and error is not None:
        work.fail(error)


@never_raises(None)
def _follow(work: Work, request: Any, response: Any) -> None:
    """Record the response, and end the work with it, or behind its streamed body."""
    match = getattr(request, "resolver_match", None)
    route = getattr(match, "route", None)
    if isinstance(route, str):
        work.handle.name = f"{request.method} /{route.lstrip('/')}"
    status = getattr(response, "status_code", None)
    work.handle.set(outputs={"status": status}, metadata={"http_status": status})
    if not getattr(response, "streaming", False) or getattr(response, "file_to_stream", None):
        work.end()
    elif getattr(response, "is_async", False):
        response.streaming_content = _AsyncContent(response.streaming_content, work)
    else:
        response.streaming_content = _Content(response.streaming_content, work)


class _Content:
    """The content of a streamed response, made inside the request's work."""

    def __init__(self, content: Any, work: Work) -> None:
        self._content = iter(content)
        self._work = work

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        try:
            return self._work.run(next, self._content)
        except StopIteration:
            raise
        except BaseException as error:
            self._work.fail(error)
            raise

    def close(self) -> None:
        """Django closes the response."""
        try:
            close = getattr(self._content, "close", None)
            if close is not None:
                self._work.run(close)
        finally:
            self._work.end()

    @never_raises(None)
    def __del__(self) -> None:  # a response that is never closed
        self._work.end()


class _AsyncContent:
    """The same for an asynchronous response."""

    def __init__(self, content: Any, work: Work) -> None:
        self._content = content.__aiter__()
        self._work = work

    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> Any:
        before = self._work.resume()
        try:
            return await self._content.__anext__()
        except StopAsyncIteration:
            raise
        except BaseException as error:
            self._work.fail(error)
            raise
        finally:
            self._work.pause(before)

    def close(self) -> None:
        """Django closes the response."""
        self._work.end()

    @never_raises(None)
    def __del__(self) -> None:
        self._work.end()
