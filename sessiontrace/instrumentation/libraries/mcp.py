"""mcp, the client: tools, resources and prompts that a session asks for, with the trace context.

    request           event   name                    the server gets
    ----------------  ------  ----------------------  ------------------------------------
    tools/call        tool    the tool's              traceparent, tracestate and baggage
    resources/read    tool    ``read_resource`` + uri in ``_meta``, unless the program put a
    prompts/get       chain   ``get_prompt`` + name   traceparent there
    any other         none                            the context of the current span

Runs in the task of the request. Invariant: a tool call that a framework above has recorded already
is not recorded again.
"""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

from sessiontrace.capture.context.w3c import inject
from sessiontrace.capture.span import Span
from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.core.method_patching import MethodPatcher
from sessiontrace.instrumentation.core.model_calls import CallRecorder
from sessiontrace.instrumentation.core.never_raises import never_raises
from sessiontrace.instrumentation.core.placement import innermost
from sessiontrace.instrumentation.core.reporters import reporters
from sessiontrace.instrumentation.core.response_fields import get_field, without_none
from sessiontrace.runtime.signals import raise_if_from_signal

__all__ = ["ENTRY", "config_of", "event_of", "record_result"]


class Mcp:
    """The instrumentor of the mcp package's ``ClientSession``."""

    def __init__(self) -> None:
        self._patcher = MethodPatcher()
        self._calls: CallRecorder | None = None

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Wrap ``send_request``, of the session or of the class that it is derived from."""
        self._calls = calls
        owner = next(kind for kind in module.ClientSession.__mro__ if "send_request" in vars(kind))
        self._patcher.patch(owner, "send_request", self._wrap)
        reporters["mcp"] = lambda: True

    def uninstall(self) -> None:
        """Put the method back; a wrapper that another tracer has wrapped passes calls through."""
        self._calls = None
        self._patcher.restore()
        reporters.pop("mcp", None)

    def _wrap(self, original: Any) -> Any:
        @functools.wraps(original)
        async def send_request(session: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
            span = self._open(request)
            if span is None:
                request = self._with_context(request)
                return await original(session, request, *args, **kwargs)
            with span:
                request = self._with_context(request)
                result = await original(session, request, *args, **kwargs)
                record_result(span, result)
            return result

        return send_request

    @never_raises(None)
    def _open(self, request: Any) -> Span | None:
        calls = self._calls
        recorder = None if calls is None else calls.recorder()
        inner = getattr(request, "root", request)  # before 2.0 a union of the requests
        event = event_of(get_field(inner, "method"), get_field(inner, "params"))
        if calls is None or recorder is None or event is None:
            return None
        name, kind, inputs = event
        current = innermost(recorder)
        if kind == "tool" and current is not None and (current.type, current.name) == (kind, name):
            return None
        opened = calls.tool if kind == "tool" else calls.chain
        return opened(name, inputs=inputs, config=config_of(inner.method, name))

    def _with_context(self, request: Any) -> Any:
        """The request with the trace context of the current span; the program's stays as it is."""
        changed = self._changed(request)
        return request if changed is None else changed

    @never_raises(None)
    def _changed(self, request: Any) -> Any:
        calls = self._calls
        recorder = None if calls is None else calls.recorder(in_default_session=False)
        inner = getattr(request, "root", request)
        params = get_field(inner, "params")
        if recorder is None or params is None:
            return None
        meta = params.meta
        headers: dict[str, str] = inject(innermost(recorder), {})
        if not headers or get_field(meta, "traceparent") is not None:
            return None
        if meta is None:
            kind = getattr(type(params), "Meta", None)
            meta = headers if kind is None else kind(**headers)
        elif isinstance(meta, dict):
            meta = {**meta, **headers}
        else:
            meta = type(meta).model_validate({**meta.model_dump(by_alias=True), **headers})
        changed = inner.model_copy(update={"params": params.model_copy(update={"meta": meta})})
        return changed if inner is request else type(request)(changed)


ENTRY = Entry(name="mcp", target="mcp.client.session", make=Mcp)


def event_of(method: Any, params: Any) -> tuple[str, str, dict[str, Any]] | None:
    """Name, type and inputs of the event of a request; None: it has no event."""
    if method == "tools/call":
        arguments = get_field(params, "arguments")
        return str(get_field(params, "name")), "tool", dict(arguments or {})
    if method == "resources/read":
        uri = str(get_field(params, "uri"))
        return f"read_resource {uri}", "tool", {"uri": uri}
    if method == "prompts/get":
        name = str(get_field(params, "name"))
        arguments = get_field(params, "arguments")
        return f"get_prompt {name}", "chain", without_none({"name": name, "arguments": arguments})
    return None


def config_of(method: Any, name: str) -> dict[str, str]:
    """The config of that event."""
    return {"type": "mcp", "tool_name": name} if method == "tools/call" else {"type": "mcp"}


def record_result(span: Span, result: Any) -> None:
    """The answer; MCP raises nothing for a tool's that is marked as an error."""
    try:
        if (messages := get_field(result, "messages")) is not None:
            span.set(outputs={"messages": messages})
        elif (contents := get_field(result, "contents")) is not None:
            span.set(outputs={"contents": contents})
        else:
            _record_tool_result(span, result)
    except Exception as fault:
        raise_if_from_signal(fault)
        span.set(metadata={"unread": True})


def _record_tool_result(span: Span, result: Any) -> None:
    structured = get_field(result, "structured_content") or get_field(result, "structuredContent")
    content = get_field(result, "content") or []
    texts = [text for block in content if isinstance(text := get_field(block, "text"), str)]
    answer = "\n".join(texts) if len(texts) == len(content) else content
    span.set(outputs=without_none({"result": answer, "structured": structured}))
    if get_field(result, "is_error") or get_field(result, "isError"):
        span.set(metadata={"error": {"type": "ToolError", "message": answer}})
        span.set_error(f"ToolError: {answer}")
