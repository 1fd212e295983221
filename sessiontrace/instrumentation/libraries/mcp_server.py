"""mcp, the server: the tools, resources and prompts that a client asks for.

    the client                            the event of the request
    ------------------------------------  ----------------------------------------------------------
    sends a trace context in ``_meta``    a chain below the client's span, whose event the tool is
    sends none, a session is open here    a tool (a prompt: a chain) of that session
    sends none, there is no session       the same, in a session of its own

Runs in the task of the request. Invariant: of a stranger's context only the ids of trace and span
are taken, unless ``init`` says otherwise.
"""

from __future__ import annotations

import functools
from contextlib import AbstractContextManager, nullcontext
from types import ModuleType
from typing import Any

from sessiontrace.capture.context.w3c import extract
from sessiontrace.capture.non_recording import RemoteSpan
from sessiontrace.capture.session import Session
from sessiontrace.capture.span import Span
from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.core.method_patching import MethodPatcher
from sessiontrace.instrumentation.core.model_calls import CallRecorder
from sessiontrace.instrumentation.core.never_raises import never_raises
from sessiontrace.instrumentation.core.response_fields import get_field
from sessiontrace.instrumentation.libraries.mcp import config_of, event_of, record_result

_HEADERS = ("traceparent", "tracestate", "baggage")


class McpServer:
    """The instrumentor of the mcp package's servers, since its version 2."""

    def __init__(self) -> None:
        self._patcher = MethodPatcher()
        self._calls: CallRecorder | None = None

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Wrap the chain of middlewares of a connection, for servers that exist already too."""
        self._calls = calls
        self._patcher.patch(module.ServerRunner, "_compose_server_middleware", self._wrap)

    def uninstall(self) -> None:
        """Put the method back; a wrapper that another tracer has wrapped passes calls through."""
        self._calls = None
        self._patcher.restore()

    def _wrap(self, original: Any) -> Any:
        @functools.wraps(original)
        def compose(runner: Any, inner: Any) -> Any:
            async def traced(context: Any) -> Any:
                opened = self._open(context)
                if opened is None:
                    return await inner(context)
                outer, span = opened
                with outer, span:
                    result = await inner(context)
                    record_result(span, result)
                return result

            return original(runner, traced)

        return compose

    @never_raises(None)
    def _open(self, context: Any) -> tuple[AbstractContextManager[object], Span] | None:
        calls = self._calls
        event = event_of(get_field(context, "method"), get_field(context, "params"))
        if calls is None or event is None or get_field(context, "request_id") is None:
            return None
        recorder = calls.recorder(in_default_session=False)
        if recorder is None:
            return None
        name, kind, inputs = event
        config = config_of(context.method, name)
        meta = get_field(context, "meta") or {}
        headers = {key: meta[key] for key in _HEADERS if isinstance(meta.get(key), str)}
        caller = extract(recorder, headers, name, None) if headers else None
        if isinstance(caller, RemoteSpan):
            return caller, Span(recorder, name, "chain", inputs, config, {"mcp": "server"})
        span = Span(recorder, name, kind, inputs, config, {"mcp": "server"})
        if caller is not None:
            return caller, span
        if recorder.current.get() is None:
            return Session(recorder, name), span
        return nullcontext(), span


ENTRY = Entry(name="mcp-server", target="mcp.server.runner", make=McpServer)
