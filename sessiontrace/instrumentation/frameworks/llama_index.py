"""LlamaIndex: handlers for the spans and events that its dispatcher reports.

The handlers run inside the steps; what they record is in ``llama_index_runs``. The streams of
models are wrapped as well, because a stream makes its request while the program reads it.
Invariant: ``install`` imports nothing but the dispatcher's own package.
"""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.core.method_patching import MethodPatcher
from sessiontrace.instrumentation.core.model_calls import CallRecorder
from sessiontrace.instrumentation.core.never_raises import never_raises
from sessiontrace.instrumentation.core.reporters import reporters
from sessiontrace.instrumentation.core.stream_observer import StreamObserver
from sessiontrace.instrumentation.llama_index_runs.messages import LastResponse
from sessiontrace.instrumentation.llama_index_runs.steps import Steps
from sessiontrace.instrumentation.llama_index_runs.streams import AsyncStream, Stream

_STREAMS = ("stream_chat", "stream_complete", "astream_chat", "astream_complete")


class LlamaIndex:
    """The instrumentor of llama-index-core."""

    def __init__(self) -> None:
        self._dispatcher: Any = None
        self._handlers: list[Any] = []
        self._patcher = MethodPatcher()
        self._mixin: Any = None
        self._init_subclass: Any = None  # the mixin's own, and ours in its place

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Add a span handler and an event handler to the root dispatcher, and wrap streams."""
        if self._dispatcher is not None:
            return
        import llama_index_instrumentation as instrumentation
        from llama_index_instrumentation.event_handlers import BaseEventHandler
        from llama_index_instrumentation.span_handlers import NullSpanHandler

        steps = Steps(calls)
        spans: Any = type(
            "SessionTraceSpans",
            (NullSpanHandler,),
            {
                "class_name": classmethod(lambda cls: "SessionTraceSpans"),
                "span_enter": lambda self, *args, **kwargs: steps.enter(*args, **kwargs),
                "span_exit": lambda self, *args, **kwargs: steps.leave(*args, **kwargs),
                "span_drop": lambda self, *args, **kwargs: steps.drop(*args, **kwargs),
            },
        )
        events: Any = type(
            "SessionTraceEvents",
            (BaseEventHandler,),
            {
                "class_name": classmethod(lambda cls: "SessionTraceEvents"),
                "handle": lambda self, event, **extra: steps.handle(event),
            },
        )
        self._dispatcher = module.get_dispatcher()
        self._handlers = [spans(), events()]
        self._dispatcher.add_span_handler(self._handlers[0])
        self._dispatcher.add_event_handler(self._handlers[1])
        reporters["llama_index"] = lambda: self._handlers[0] in self._dispatcher.span_handlers
        self._wrap_streams(instrumentation.DispatcherSpanMixin, steps)

    def uninstall(self) -> None:
        """Remove the handlers."""
        if self._dispatcher is None:
            return
        reporters.pop("llama_index", None)
        for name in ("span_handlers", "event_handlers"):
            handlers = getattr(self._dispatcher, name)
            handlers[:] = [
                handler
                for handler in handlers
                if all(handler is not ours for ours in self._handlers)
            ]
        self._dispatcher = None
        self._patcher.restore()
        original, ours = self._init_subclass
        if vars(self._mixin)["__init_subclass__"] is ours:
            self._mixin.__init_subclass__ = original

    def _wrap_streams(self, mixin: Any, steps: Steps) -> None:
        """Wrap the streams of the models that are defined already, and of those to come."""

        def wrap_class(owner: Any) -> None:
            for name in _STREAMS:
                method = vars(owner).get(name)
                if callable(method) and not getattr(method, "__isabstractmethod__", False):
                    self._patcher.patch(owner, name, lambda original: _wrap(original, steps))

        original = vars(mixin)["__init_subclass__"]

        def init_subclass(cls: Any, /, **kwargs: Any) -> None:
            original.__get__(None, cls)(**kwargs)
            if self._dispatcher is not None:
                never_raises(None)(wrap_class)(cls)

        self._mixin, self._init_subclass = mixin, (original, classmethod(init_subclass))
        mixin.__init_subclass__ = self._init_subclass[1]
        classes = [mixin]
        while classes:
            owner = classes.pop()
            classes.extend(owner.__subclasses__())
            wrap_class(owner)


ENTRY = Entry(name="llama-index", target="llama_index.core.instrumentation", make=LlamaIndex)


def _wrap(original: Any, steps: Steps) -> Any:
    if original.__name__.startswith("a"):

        @functools.wraps(original)
        async def async_method(self: Any, *args: Any, **kwargs: Any) -> Any:
            stream = await original.__get__(self, type(self))(*args, **kwargs)
            observer = _observer(steps, stream)
            return stream if observer is None else AsyncStream(stream, observer)

        return async_method

    @functools.wraps(original)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        stream = original.__get__(self, type(self))(*args, **kwargs)
        observer = _observer(steps, stream)
        return stream if observer is None else Stream(stream, observer)

    return method


@never_raises(None)
def _observer(steps: Steps, stream: Any) -> StreamObserver | None:
    call = steps.stream_call(stream)
    if call is None:
        return None
    return StreamObserver(call, LastResponse(), {}, lambda error: {})
