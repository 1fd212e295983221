"""CrewAI: the events of its bus become steps, in the thread that emits them.

The bus calls its listeners in threads of its own, where no step can become current. So the method
that emits is wrapped, and what it has written into the event is read: ``parent_event_id`` is the
step around it, ``started_event_id`` the step that ends. Invariant: the bus and its listeners get
every event as before.
"""

from __future__ import annotations

import functools
import sys
from types import ModuleType
from typing import Any

from sessiontrace.capture.handle import Handle
from sessiontrace.capture.span import UNSET, Span
from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.core.method_patching import MethodPatcher
from sessiontrace.instrumentation.core.model_calls import CallRecorder, ModelCall
from sessiontrace.instrumentation.core.never_raises import never_raises
from sessiontrace.instrumentation.core.placement import deeper, innermost
from sessiontrace.instrumentation.core.reporters import reporters
from sessiontrace.instrumentation.crewai_runs.fields import (
    answer_of,
    model_config,
    outputs_of,
    stem_of,
    step_of,
)

_OPEN_MAX = 10_000

Opened = Span | ModelCall | None


class CrewAi:
    """The instrumentor of crewai."""

    def __init__(self) -> None:
        self._patcher = MethodPatcher()
        self._calls: CallRecorder | None = None
        self._starts: frozenset[str] = frozenset()
        self._open: dict[str, tuple[Opened, Handle | None]] = {}

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Wrap the method that emits events."""
        from crewai.events.event_context import SCOPE_STARTING_EVENTS

        self._calls = calls
        self._starts = SCOPE_STARTING_EVENTS
        self._patcher.patch(module.CrewAIEventsBus, "emit", self._wrap)
        reporters["crewai"] = lambda: True

    def uninstall(self) -> None:
        """Put the method back."""
        self._calls = None
        self._patcher.restore()
        reporters.pop("crewai", None)

    def _wrap(self, original: Any) -> Any:
        @functools.wraps(original)
        def emit(bus: Any, source: Any, event: Any, *args: Any, **options: Any) -> Any:
            result = original(bus, source, event, *args, **options)
            if self._calls is not None:
                self._emitted(source, event)
            return result

        return emit

    @never_raises(None)
    def _emitted(self, source: Any, event: Any) -> None:
        kind = str(event.type)
        if kind in self._starts:
            self._started(stem_of(kind), source, event)
        elif (started := getattr(event, "started_event_id", None)) is not None:
            opened, _ = self._open.pop(started, (None, None))
            if opened is not None:
                _end(opened, event)

    def _started(self, stem: str, source: Any, event: Any) -> None:
        calls = self._calls
        recorder = None if calls is None else calls.recorder()
        if calls is None or recorder is None:
            return
        if len(self._open) >= _OPEN_MAX:  # of steps whose end was never emitted
            self._open.pop(next(iter(self._open)), None)
        _, around = self._open.get(event.parent_event_id or "", (None, None))
        parent = deeper(innermost(recorder), around)
        step = step_of(stem, source, event)
        opened: Opened = None
        if step.type == "model":
            opened = calls.model(
                step.name, inputs=step.inputs, config=model_config(event), parent=parent
            )
            if opened is not None:
                opened.begin()
        elif step.type is not None:
            opened = calls.open(
                step.name,
                step.type,
                parent=parent,
                inputs=step.inputs,
                config=step.config,
                metadata=step.metadata,
            )
        inside = opened.span if isinstance(opened, ModelCall) else opened or parent
        self._open[event.event_id] = (opened, inside)


ENTRY = Entry(name="crewai", target="crewai.events.event_bus", make=CrewAi)


def _end(opened: Span | ModelCall, event: Any) -> None:
    """End a step as the event says."""
    if (error := getattr(event, "error", None)) is not None:
        _fail(opened, error)
    elif isinstance(opened, ModelCall):
        outputs, metadata = answer_of(event)
        opened.end(outputs=outputs, metadata=metadata)
    else:
        outputs = outputs_of(event)
        failure = getattr(event, "failure", None)
        if failure is not None:
            opened.set_error(str(getattr(failure, "message", None) or failure))
        if getattr(event, "from_cache", None):
            opened.set(metadata={"cached": True})
        opened.end(outputs=UNSET if outputs is None else outputs)


def _fail(opened: Span | ModelCall, error: Any) -> None:
    """End a step with an error: an exception, or the text of the one that is being handled."""
    handled = sys.exc_info()[1]
    if isinstance(error, BaseException):
        handled = error
    elif handled is not None and str(handled) not in str(error):
        handled = None
    if handled is None:
        handled = RuntimeError(str(error))
    if isinstance(opened, ModelCall):
        opened.fail(handled)
    else:
        opened.__exit__(type(handled), handled, handled.__traceback__)
