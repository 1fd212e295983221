"""The request of a model call, which Pydantic AI's span of a failed call does not have.

Runs in the task of the call. Invariant: the messages are read where the span lacks them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from sessiontrace.instrumentation.core.never_raises import never_raises

__all__ = ["ModelRequest", "completion", "current_request"]

_MESSAGES = "gen_ai.input.messages"
_INSTRUCTIONS = "gen_ai.system_instructions"


class ModelRequest:
    """What goes to a model. ``settings``: Pydantic AI's, which write messages as OTel has them."""

    def __init__(self, settings: Any, context: Any) -> None:
        self._settings = settings
        self._context = context

    @never_raises({})
    def missing_in(self, attributes: dict[str, Any]) -> dict[str, Any]:
        """The attributes with the messages and instructions, where a span lacks them."""
        if _MESSAGES in attributes or "gen_ai.request.model" not in attributes:
            return {}
        if not getattr(self._settings, "include_content", False):
            return {}
        messages = self._context.messages
        written = self._settings.messages_to_otel_messages(messages)
        fields = {_MESSAGES: json.dumps(written, default=str)}
        instructions = getattr(messages[-1], "instructions", None) if messages else None
        if isinstance(instructions, str):
            fields[_INSTRUCTIONS] = json.dumps([{"type": "text", "content": instructions}])
        return fields


current_request: ContextVar[ModelRequest | None] = ContextVar(
    "sessiontrace.pydantic_ai_request", default=None
)
"""The request that this context makes."""


def completion() -> Callable[[dict[str, Any]], dict[str, Any]] | None:
    """What completes a span that starts here."""
    request = current_request.get()
    return None if request is None else request.missing_in
