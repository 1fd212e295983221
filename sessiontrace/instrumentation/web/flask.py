"""flask: each request of an application is a session, streamed bodies included.

The wrapper runs in the thread of the request, as ``Wsgi`` does. Invariant: without ``sessiontrace
run`` it is instrumented only by name; a request through several applications is one session.
"""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.core.method_patching import MethodPatcher
from sessiontrace.instrumentation.core.model_calls import CallRecorder
from sessiontrace.instrumentation.web.request import SEEN
from sessiontrace.instrumentation.web.wsgi import call_application, open_environ

_WORK = "sessiontrace.work"


class Flask:
    """The instrumentor of flask."""

    def __init__(self) -> None:
        self._patcher = MethodPatcher()

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Wrap the call of an application, and its handling of exceptions."""
        self._patcher.patch(module.Flask, "__call__", lambda original: _call(original, calls))
        self._patcher.patch(module.Flask, "handle_exception", _handle_exception)

    def uninstall(self) -> None:
        """Put the methods back."""
        self._patcher.restore()


ENTRY = Entry(name="flask", target="flask.app", make=Flask, by_default=False)


def _call(original: Any, calls: CallRecorder) -> Any:
    @functools.wraps(original)
    def call(app: Any, environ: Any, start_response: Any) -> Any:
        work = open_environ(calls.tracer, environ) if calls.enabled else None
        if work is None:
            return original(app, environ, start_response)
        environ[_WORK] = work
        application = functools.partial(original, app)
        try:
            return call_application(work, application, environ, start_response)
        finally:
            environ.pop(_WORK, None)

    return call


def _handle_exception(original: Any) -> Any:
    @functools.wraps(original)
    def handle_exception(app: Any, *args: Any) -> Any:
        from flask import has_request_context, request

        error = args[-1] if args else None
        if has_request_context() and SEEN in request.environ and isinstance(error, Exception):
            work = request.environ.get(_WORK)
            if work is not None:
                work.fail(error)
        return original(app, *args)

    return handle_exception
