"""Celery: a task continues the session of whoever sent it, in the worker.

Runs where a task is published and where it is run. Invariant: a message only gains headers, and a
task that is sent outside any session is a session of its own.
"""

from __future__ import annotations

from contextlib import ExitStack
from types import ModuleType
from typing import Any

from sessiontrace.capture.context.w3c import extract, inject
from sessiontrace.capture.non_recording import RemoteSpan
from sessiontrace.capture.session import Session
from sessiontrace.capture.span import Span
from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.core.model_calls import CallRecorder

_RUNNING_MAX = 10_000


class Celery:
    """The instrumentor of celery, by its signals."""

    def __init__(self) -> None:
        self._signals: Any = None
        self._calls: CallRecorder | None = None
        self._running: dict[str, tuple[ExitStack, Span]] = {}

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Listen to what is published, starts, fails and ends."""
        self._calls = calls
        self._signals = module
        for name, hear in self._heard():
            getattr(module, name).connect(hear, weak=False, dispatch_uid=f"sessiontrace.{name}")

    def uninstall(self) -> None:
        """Stop listening."""
        self._calls = None
        if self._signals is not None:
            for name, _ in self._heard():
                getattr(self._signals, name).disconnect(dispatch_uid=f"sessiontrace.{name}")

    def _heard(self) -> tuple[tuple[str, Any], ...]:
        return (
            ("before_task_publish", self._publish),
            ("task_prerun", self._start),
            ("task_failure", self._fail),
            ("task_retry", self._fail),
            ("task_postrun", self._end),
        )

    def _publish(self, headers: Any = None, **more: Any) -> None:
        try:
            recorder = None if self._calls is None else self._calls.recorder()
            if recorder is not None and isinstance(headers, dict):
                inject(recorder.current.get(), headers)
        except Exception:
            pass

    def _start(self, task_id: Any = None, task: Any = None, **more: Any) -> None:
        try:
            recorder = (
                None if self._calls is None else self._calls.recorder(in_default_session=False)
            )
            if recorder is None or len(self._running) >= _RUNNING_MAX:
                return
            inputs = {"args": list(more.get("args") or ()), "kwargs": more.get("kwargs") or {}}
            metadata = {"task_id": task_id, "retries": task.request.retries}
            above = extract(recorder, _headers(task.request), task.name)
            stack = ExitStack()
            handle: Span
            if isinstance(above, RemoteSpan):
                stack.enter_context(above)
                handle = Span(recorder, task.name, "chain", inputs, None, metadata)
            elif above is not None:
                handle = above.set(inputs=inputs, metadata=metadata)
            else:
                handle = Session(recorder, task.name, inputs=inputs, metadata=metadata)
            stack.enter_context(handle)
            self._running[str(task_id)] = (stack, handle)
        except Exception:
            pass

    def _fail(self, sender: Any = None, task_id: Any = None, **more: Any) -> None:
        error = more.get("exception") or more.get("reason")
        request = more.get("request")
        running = self._running.get(str(task_id or getattr(request, "id", "")))
        if running is not None and isinstance(error, BaseException):
            running[1].__exit__(type(error), error, error.__traceback__)

    def _end(self, task_id: Any = None, retval: Any = None, state: Any = None, **more: Any) -> None:
        running = self._running.pop(str(task_id), None)
        if running is None:
            return
        stack, handle = running
        if state == "SUCCESS":
            handle.set(outputs=retval)
        stack.close()


ENTRY = Entry(name="celery", target="celery.signals", make=Celery)


def _headers(request: Any) -> dict[str, str]:
    """Our headers of a task's message; Celery shows them on the request itself."""
    held = {**(getattr(request, "headers", None) or {}), **vars(request)}
    names = ("traceparent", "tracestate", "baggage")
    return {name: held[name] for name in names if isinstance(held.get(name), str)}
