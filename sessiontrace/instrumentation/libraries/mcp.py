"""MCP: tools called by a client session become tool events.

Runs in the task of the call. Invariant: a tool that a framework above has told of already is not
told again.
"""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

from sessiontrace.capture.span import Span
from sessiontrace.instrumentation.core.model_calls import CallRecorder, innermost
from sessiontrace.instrumentation.core.response_fields import get_field, without_none

__all__ = ["Mcp"]


class Mcp:
    """The instrumentor of the mcp package's ``ClientSession``."""

    name = "mcp"

    def __init__(self) -> None:
        self._session: Any = None
        self._ours: Any = None

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Stand in ``call_tool``."""
        session: Any = module.ClientSession
        original = session.call_tool
        if hasattr(original, "_sessiontrace"):
            return

        @functools.wraps(original)
        async def call_tool(self: Any, name: str, *args: Any, **kwargs: Any) -> Any:
            arguments = args[0] if args else kwargs.get("arguments")
            span = _opened(calls, name, arguments)
            if span is None:
                return await original(self, name, *args, **kwargs)
            with span:
                result = await original(self, name, *args, **kwargs)
                _close(span, result)
            return result

        call_tool._sessiontrace = True  # type: ignore[attr-defined]
        self._session, self._ours = session, call_tool
        session.call_tool = call_tool

    def uninstall(self) -> None:
        """Put the method back, unless someone has wrapped it since."""
        if self._session is not None and self._session.call_tool is self._ours:
            self._session.call_tool = self._ours.__wrapped__


def _opened(calls: CallRecorder, name: Any, arguments: Any) -> Span | None:
    try:
        recorder = calls.recorder()
        if recorder is None:
            return None
        current = innermost(recorder)
        if current is not None and current.type == "tool" and current.name == name:
            return None
        inputs = arguments if isinstance(arguments, dict) else {}
        return calls.tool(str(name), inputs=inputs, config={"tool_name": name, "type": "mcp"})
    except Exception:
        return None


def _close(span: Span, result: Any) -> None:
    """The tool's answer; one that is marked as an error is no exception in MCP."""
    try:
        structured = get_field(result, "structured_content") or get_field(
            result, "structuredContent"
        )
        content = get_field(result, "content") or []
        texts = [text for block in content if isinstance(text := get_field(block, "text"), str)]
        shown = "\n".join(texts) if len(texts) == len(content) else content
        failed = get_field(result, "is_error") or get_field(result, "isError")
        span.set(outputs=without_none({"result": shown, "structured": structured}))
        if failed:
            span.set(metadata={"error": {"type": "ToolError", "message": shown}})
            span.set_error(f"ToolError: {shown}")
    except Exception:
        span.set(metadata={"unread": True})
