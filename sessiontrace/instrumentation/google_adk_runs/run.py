"""One run of Google ADK's runner, as its reader sees it.

Runs in the reader's task. Invariant: what is current inside of the run stays inside.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from sessiontrace.instrumentation.core.streamed_runs import async_steps
from sessiontrace.instrumentation.google_adk_runs.content import run_attributes

__all__ = ["Run", "completion", "observed"]


class Run:
    """The question of a run and its last event with text."""

    def __init__(self, question: Any) -> None:
        self._question = question
        self._events: list[Any] = []

    def see(self, event: Any) -> None:
        """An event of the run; a partial one comes again as a whole."""
        if getattr(event, "content", None) is not None and not getattr(event, "partial", None):
            self._events = [event]

    def attributes(self, existing: dict[str, Any]) -> dict[str, Any]:
        """What the span around the run lacks."""
        return run_attributes(self._question, self._events)


started_run: ContextVar[Run | None] = ContextVar("sessiontrace.google_adk_run", default=None)
"""The run whose first span has not started yet."""


def completion() -> Callable[[dict[str, Any]], dict[str, Any]] | None:
    """What completes a span that starts here: the first of a run is the one around it."""
    run = started_run.get()
    if run is None:
        return None
    started_run.set(None)
    return run.attributes


async def observed(make: Callable[[], Any], run: Run, current: ContextVar[Any]) -> Any:
    """The events of a run, whose generator ``make`` makes."""
    events, end = async_steps(make, current), object()
    try:
        before = started_run.get()
        started_run.set(run)
        try:
            event = await anext(events, end)
        finally:
            started_run.set(before)
        while event is not end:
            run.see(event)
            yield event
            event = await anext(events, end)
    finally:
        await events.aclose()
