"""dramatiq: a message continues, in the worker, the session that sent it.

A middleware of every broker, which dramatiq calls in the sender's thread and in the worker's.
Invariant: a message only gains options, and a message sent outside any session is a session of its
own.
"""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

from sessiontrace.capture.context.w3c import inject
from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.core.method_patching import MethodPatcher
from sessiontrace.instrumentation.core.model_calls import CallRecorder
from sessiontrace.instrumentation.core.never_raises import never_raises
from sessiontrace.instrumentation.web.request import Work, open_request, open_work

_OPTION = "sessiontrace"
_RUNNING_MAX = 10_000


class Dramatiq:
    """The instrumentor of dramatiq."""

    def __init__(self) -> None:
        self._patcher = MethodPatcher()

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Give brokers that are made from now on, and the global one, our middleware."""
        base: Any = module.Middleware
        kind: Any = type("SessionTrace", (_Hooks, base), {})
        broker_module: Any = module.broker
        for broker in filter(None, [broker_module.global_broker]):
            broker.add_middleware(kind(calls))

        def wrap(original: Any) -> Any:
            @functools.wraps(original)
            def init(broker: Any, *args: Any, **kwargs: Any) -> None:
                original(broker, *args, **kwargs)
                if calls.enabled:
                    broker.add_middleware(kind(calls))

            return init

        self._patcher.patch(module.Broker, "__init__", wrap)

    def uninstall(self) -> None:
        """Leave the brokers that are made from now on as they are; ours do nothing any more."""
        self._patcher.restore()


ENTRY = Entry(name="dramatiq", target="dramatiq", make=Dramatiq)


class _Hooks:
    """What dramatiq calls; mixed with its class of middlewares."""

    def __init__(self, calls: CallRecorder) -> None:
        self._calls = calls
        self._running: dict[str, tuple[Work, Any]] = {}

    @never_raises(None)
    def before_enqueue(self, broker: Any, message: Any, delay: Any) -> None:
        """A message is sent, or sent again."""
        recorder = self._calls.recorder() if self._calls.enabled else None
        if recorder is None or _OPTION in message.options:
            return
        headers: dict[str, str] = inject(recorder.current.get(), {})
        if headers:
            message.options[_OPTION] = headers

    @never_raises(None)
    def before_process_message(self, broker: Any, message: Any) -> None:
        """A worker's thread begins with a message."""
        if not self._calls.enabled or len(self._running) >= _RUNNING_MAX:
            return
        inputs = {"args": list(message.args), "kwargs": dict(message.kwargs)}
        metadata = {"message_id": message.message_id, "queue": message.queue_name}
        headers = message.options.get(_OPTION) or {}
        # A message comes from the program's own broker.
        work = open_work(
            self._calls.tracer,
            lambda recorder: open_request(
                recorder, message.actor_name, inputs, metadata, headers.items(), "all"
            ),
        )
        if work is not None:
            self._running[message.message_id] = (work, work.resume())

    @never_raises(None)
    def after_process_message(
        self, broker: Any, message: Any, *, result: Any = None, exception: Any = None
    ) -> None:
        """The thread has done with it."""
        running = self._running.pop(message.message_id, None)
        if running is None:
            return
        work, before = running
        work.pause(before)
        if exception is None:
            work.handle.set(outputs=result)
        work.end(exception)

    @never_raises(None)
    def after_skip_message(self, broker: Any, message: Any) -> None:
        """Another middleware has skipped it."""
        self.after_process_message(broker, message)
