"""mcp: the tools that a client session calls become tool events.

Runs in the task of the call. Invariant: a tool call that a framework above has recorded already is
not recorded again.
"""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

from sessiontrace.capture.span import Span
from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.core.method_patching import MethodPatcher
from sessiontrace.instrumentation.core.model_calls import CallRecorder
from sessiontrace.instrumentation.core.never_raises import never_raises
from sessiontrace.instrumentation.core.placement import innermost
from sessiontrace.instrumentation.core.response_fields import get_field, without_none


class Mcp:
    """The instrumentor of the mcp package's ``ClientSession``."""

    def __init__(self) -> None:
        self._patcher = MethodPatcher()
        self._calls: CallRecorder | None = None

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Wrap ``call_tool``."""
        self._calls = calls
        self._patcher.patch(module.ClientSession, "call_tool", self._wrap)

    def uninstall(self) -> None:
        """Put the method back; a wrapper that another tracer has wrapped passes calls through."""
        self._calls = None
        self._patcher.restore()

    def _wrap(self, original: Any) -> Any:
        @functools.wraps(original)
        async def call_tool(session: Any, name: str, *args: Any, **kwargs: Any) -> Any:
            arguments = args[0] if args else kwargs.get("arguments")
            span = self._open(name, arguments)
            if span is None:
                return await original(session, name, *args, **kwargs)
            with span:
                result = await original(session, name, *args, **kwargs)
                _record_result(span, result)
            return result

        return call_tool

    @never_raises(None)
    def _open(self, name: Any, arguments: Any) -> Span | None:
        calls = self._calls
        recorder = None if calls is None else calls.recorder()
        if calls is None or recorder is None:
            return None
        current = innermost(recorder)
        if current is not None and current.type == "tool" and current.name == name:
            return None
        inputs = arguments if isinstance(arguments, dict) else {}
        return calls.tool(str(name), inputs=inputs, config={"tool_name": name, "type": "mcp"})


ENTRY = Entry(name="mcp", target="mcp.client.session", make=Mcp)


def _record_result(span: Span, result: Any) -> None:
    """The tool's answer; MCP raises nothing for one that is marked as an error."""
    try:
        structured = get_field(result, "structured_content") or get_field(
            result, "structuredContent"
        )
        content = get_field(result, "content") or []
        texts = [text for block in content if isinstance(text := get_field(block, "text"), str)]
        answer = "\n".join(texts) if len(texts) == len(content) else content
        failed = get_field(result, "is_error") or get_field(result, "isError")
        span.set(outputs=without_none({"result": answer, "structured": structured}))
        if failed:
            span.set(metadata={"error": {"type": "ToolError", "message": answer}})
            span.set_error(f"ToolError: {answer}")
    except Exception:
        span.set(metadata={"unread": True})
