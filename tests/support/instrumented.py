"""Instrumented libraries whose events a test looks at one by one."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from support.recording_tracer import Captured

from sessiontrace.instrumentation.registry import Instruments
from sessiontrace.model.step_types import CALL_TYPES

__all__ = ["ModelTracer", "collected", "instrumented"]


class ModelTracer(Captured):
    """A recording tracer for calls of models."""

    @property
    def model(self) -> dict[str, Any]:
        """The one model event; the test fails when there are none or several."""
        models = [event for event in self.events if event["event_type"] in CALL_TYPES]
        assert len(models) == 1, [event["event_name"] for event in self.events]
        return models[0]

    @property
    def models(self) -> list[dict[str, Any]]:
        """The model events, in the order of their ends."""
        return [event for event in self.events if event["event_type"] in CALL_TYPES]

    @property
    def tokens(self) -> int:
        """The tokens of all model events."""
        return sum((event.get("metadata") or {}).get("total_tokens", 0) for event in self.models)

    @property
    def failed(self) -> list[str]:
        """The names of the events with an error."""
        return [event["event_name"] for event in self.events if event.get("error")]

    @property
    def paths(self) -> list[str]:
        """Each event by the names from the top to it, sorted."""
        events = {event["event_id"]: event for event in self.events}

        def path(event: dict[str, Any]) -> str:
            above = events.get(event["parent_id"])
            name = str(event["event_name"])
            return name if above is None else f"{path(above)}/{name}"

        return sorted(path(event) for event in events.values())


@pytest.fixture(scope="module", autouse=True)
def collected() -> Iterator[None]:
    """For modules that import it: what frameworks leave open is collected, and warned of, there."""
    yield
    gc.collect()


@contextmanager
def instrumented(
    *names: str, waiting: bool = False, logprobs: bool | None = None
) -> Iterator[ModelTracer]:
    """Record the calls of these libraries; the test fails when the first is not active.

    ``waiting``: the first need not be imported yet. ``logprobs``: record log probabilities.
    """
    tracer = ModelTracer()
    instruments = Instruments(tracer)
    report = instruments.add(names, (), logprobs=logprobs)
    states = {**report.active, **report.waiting} if waiting else report.active
    assert names[0] in states, str(report)
    try:
        yield tracer
    finally:
        instruments.remove()
