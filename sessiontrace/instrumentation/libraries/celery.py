"""celery: a task continues, in the worker, the session that sent it.

The signal handlers run where a task is published and where it is executed. Invariant: a message
only gains headers, and a task that was sent outside any session is a session of its own.
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
from sessiontrace.instrumentation.core.never_raises import never_raises

_RUNNING_MAX = 10_000


class Celery:
    """The instrumentor of celery, by its signals."""

    def __init__(self) -> None:
        self._signals: Any = None
        self._calls: CallRecorder | None = None
        self._running: dict[str, tuple[ExitStack, Span]] = {}

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Connect a handler to the signals for tasks that are published, start, fail and end."""
        self._calls = calls
        self._signals = module
        for name, handler in self._handlers():
            getattr(module, name).connect(handler, weak=False, dispatch_uid=f"sessiontrace.{name}")

    def uninstall(self) -> None:
        """Disconnect the handlers."""
        self._calls = None
        if self._signals is not None:
            for name, _ in self._handlers():
                getattr(self._signals, name).disconnect(dispatch_uid=f"sessiontrace.{name}")

    def _handlers(self) -> tuple[tuple[str, Any], ...]:
        return (
            ("before_task_publish", self._publish),
            ("task_prerun", self._start),
            ("task_failure", self._fail),
            ("task_retry", self._fail),
            ("task_postrun", self._end),
        )

    @never_raises(None)
    def _publish(self, headers: Any = None, **data: Any) -> None:
        recorder = None if self._calls is None else self._calls.recorder()
        if recorder is not None and isinstance(headers, dict):
            inject(recorder.current.get(), headers)

    @never_raises(None)
    def _start(self, task_id: Any = None, task: Any = None, **data: Any) -> None:
        recorder = None if self._calls is None else self._calls.recorder(in_default_session=False)
        if recorder is None or len(self._running) >= _RUNNING_MAX:
            return
        inputs = {
            "args": list(data.get("args") or ()),
            "kwargs": data.get("kwargs") or {},
        }
        metadata = {"task_id": task_id, "retries": task.request.retries}
        # A task comes from the program's own broker.
        sender = extract(recorder, _headers(task.request), task.name, trust="all")
        stack = ExitStack()
        handle: Span
        if isinstance(sender, RemoteSpan):
            stack.enter_context(sender)
            handle = Span(recorder, task.name, "chain", inputs, None, metadata)
        elif sender is not None:
            handle = sender.set(inputs=inputs, metadata=metadata)
        else:
            handle = Session(recorder, task.name, inputs=inputs, metadata=metadata)
        stack.enter_context(handle)
        self._running[str(task_id)] = (stack, handle)

    def _fail(self, sender: Any = None, task_id: Any = None, **data: Any) -> None:
        error = data.get("exception") or data.get("reason")
        request = data.get("request")
        running = self._running.get(str(task_id or getattr(request, "id", "")))
        if running is not None and isinstance(error, BaseException):
            running[1].__exit__(type(error), error, error.__traceback__)

    def _end(self, task_id: Any = None, retval: Any = None, state: Any = None, **data: Any) -> None:
        running = self._running.pop(str(task_id), None)
        if running is None:
            return
        stack, handle = running
        if state == "SUCCESS":
            handle.set(outputs=retval)
        stack.close()


ENTRY = Entry(name="celery", target="celery.signals", make=Celery)


def _headers(request: Any) -> dict[str, str]:
    """The trace headers of a task's message; Celery has them on the request itself."""
    attributes = {**(getattr(request, "headers", None) or {}), **vars(request)}
    names = ("traceparent", "tracestate", "baggage")
    return {name: attributes[name] for name in names if isinstance(attributes.get(name), str)}
