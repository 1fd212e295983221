"""What completes a span of Google ADK when it ends, by what the span is about.

Each is called with the attributes that the span has, in the task of the run, and returns further
ones. Invariant: a fault here costs the content, not the run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sessiontrace.instrumentation.core.never_raises import never_raises
from sessiontrace.instrumentation.google_adk_runs.content import (
    inference_attributes,
    run_attributes,
    tool_attributes,
)

__all__ = ["Agent", "Inference", "Tool"]


class Agent:
    """The agent of a span, in its invocation ``context``."""

    def __init__(self, agent: Any, context: Any) -> None:
        self._agent = agent
        self._context = context

    @never_raises({})
    def __call__(self, attributes: dict[str, Any]) -> dict[str, Any]:
        """The user's content, and the last event of this agent that says something."""
        context = self._context
        events = [
            event
            for event in context.session.events
            if event.invocation_id == context.invocation_id and event.author == self._agent.name
        ]
        return run_attributes(context.user_content, events)


class Tool:
    """A tool call with its arguments, and the event with its result."""

    def __init__(self, args: Any, event: Any) -> None:
        self._args = args
        self._event = event

    @never_raises({})
    def __call__(self, attributes: dict[str, Any]) -> dict[str, Any]:
        """Arguments and result."""
        return tool_attributes(self._args, self._event)


class Inference:
    """A model call. ``lacks(group)``: whether its event has no inputs or outputs yet."""

    def __init__(self, request: Any, lacks: Callable[[str], bool]) -> None:
        self._request = request
        self._lacks = lacks
        self._responses: list[Any] = []

    def see(self, response: Any) -> None:
        """A response, or a chunk of one."""
        self._responses.append(response)

    @never_raises({})
    def __call__(self, attributes: dict[str, Any]) -> dict[str, Any]:
        """Request and answer, where the SDK's call has not said them."""
        return inference_attributes(
            self._request,
            self._responses,
            inputs=self._lacks("inputs"),
            outputs=self._lacks("outputs"),
        )
