"""LlamaIndex: handlers for the spans and events that its dispatcher reports.

The handlers run inside the steps. Invariant: of nested model spans (achat, chat, complete) the
outermost is the model event.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from sessiontrace.capture.span import Span
from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.core.model_calls import CallRecorder, open_model
from sessiontrace.instrumentation.core.never_raises import never_raises
from sessiontrace.instrumentation.core.response_fields import get_field, without_none
from sessiontrace.instrumentation.openai_family.chat_format import usage_of

_OPEN_MAX = 10_000


class LlamaIndex:
    """The instrumentor of llama-index-core."""

    def __init__(self) -> None:
        self._dispatcher: Any = None
        self._handlers: list[Any] = []

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Add a span handler and an event handler to the root dispatcher."""
        if self._dispatcher is not None:
            return
        from llama_index_instrumentation.event_handlers import BaseEventHandler
        from llama_index_instrumentation.span_handlers import NullSpanHandler

        handler = _SpanHandler(calls)
        spans: Any = type(
            "SessionTraceSpans",
            (NullSpanHandler,),
            {
                "class_name": classmethod(lambda cls: "SessionTraceSpans"),
                "span_enter": lambda self, *args, **kwargs: handler.enter(*args, **kwargs),
                "span_exit": lambda self, *args, **kwargs: handler.leave(*args, **kwargs),
                "span_drop": lambda self, *args, **kwargs: handler.drop(*args, **kwargs),
            },
        )
        events: Any = type(
            "SessionTraceEvents",
            (BaseEventHandler,),
            {
                "class_name": classmethod(lambda cls: "SessionTraceEvents"),
                "handle": lambda self, event, **extra: handler.handle(event),
            },
        )
        self._dispatcher = module.get_dispatcher()
        self._handlers = [spans(), events()]
        self._dispatcher.add_span_handler(self._handlers[0])
        self._dispatcher.add_event_handler(self._handlers[1])

    def uninstall(self) -> None:
        """Remove the handlers."""
        if self._dispatcher is None:
            return
        for name in ("span_handlers", "event_handlers"):
            handlers = getattr(self._dispatcher, name)
            handlers[:] = [
                handler
                for handler in handlers
                if all(handler is not ours for ours in self._handlers)
            ]
        self._dispatcher = None


ENTRY = Entry(name="llama-index", target="llama_index.core.instrumentation", make=LlamaIndex)


class _SpanHandler:
    """The open spans of the dispatcher, by their ids."""

    def __init__(self, calls: CallRecorder) -> None:
        self._calls = calls
        self._spans: dict[str, Span] = {}

    @never_raises(None)
    def enter(self, id_: str, bound_args: Any, *args: Any, **extra: Any) -> None:
        """A method of the library starts."""
        if len(self._spans) < _OPEN_MAX:
            parent = self._spans.get(extra.get("parent_id") or "")
            name = id_.partition("-")[0]
            span = self._calls.open(name, "chain", parent=parent)
            if span is not None:
                self._spans[id_] = span

    def leave(self, id_: str, *args: Any, **extra: Any) -> None:
        """The method has returned."""
        span = self._spans.pop(id_, None)
        if span is None:
            return
        result = extra.get("result")
        if span.type == "chain" and result is not None and isinstance(result, (str, int, dict)):
            span.set(outputs=result)
        span.end()

    def drop(self, id_: str, *args: Any, **extra: Any) -> None:
        """The method has raised an exception."""
        span = self._spans.pop(id_, None)
        error = extra.get("err")
        if span is not None:
            span.__exit__(None if error is None else type(error), error, None)

    @never_raises(None)
    def handle(self, event: Any) -> None:
        """An event has happened inside one of the spans."""
        span = self._spans.get(event.span_id or "")
        if span is None:
            return
        kind = type(event).__name__
        if kind in ("LLMChatStartEvent", "LLMCompletionStartEvent"):
            _start_model(span, event)
        elif kind in ("LLMChatEndEvent", "LLMCompletionEndEvent") and span.type == "model":
            _end_model(span, get_field(event, "response"))
        elif kind == "RetrievalStartEvent":
            span.type = "tool"
            span.set(inputs={"query": str(get_field(event, "str_or_query_bundle"))})
        elif kind == "RetrievalEndEvent":
            nodes = get_field(event, "nodes") or ()
            documents = [{"content": node.get_content(), "score": node.score} for node in nodes]
            span.set(outputs={"documents": documents})
        elif kind == "QueryStartEvent":
            span.set(inputs={"query": str(get_field(event, "query"))})
        elif kind == "QueryEndEvent":
            span.set(outputs=str(get_field(event, "response")))


def _start_model(span: Span, event: Any) -> None:
    outer = span.parent
    while outer is not None and outer.type == "chain":
        outer = outer.parent
    if outer is not None and open_model(span.recorder, outer) is outer:
        return
    settings = get_field(event, "model_dict") or {}
    model = settings.get("model") or settings.get("model_name") or settings.get("class_name")
    messages = get_field(event, "messages")
    inputs: dict[str, Any] = {"prompt": get_field(event, "prompt")}
    if messages is not None:
        inputs = {"chat_history": [_message(message) for message in messages]}
    parameters = {
        name: settings[name] for name in ("temperature", "max_tokens") if name in settings
    }
    span.type = "model"
    span.name = f"chat {model}"
    span.set(
        inputs=inputs,
        config=without_none({"type": "chat", "model": model, "hyperparameters": parameters}),
    )


def _end_model(span: Span, response: Any) -> None:
    message = get_field(response, "message")
    text = get_field(response, "text")
    outputs = {"role": "assistant", "content": text} if message is None else _message(message)
    usage = get_field(get_field(response, "raw"), "usage")
    span.set(outputs=outputs, metadata=usage_of(usage) if usage is not None else None)


def _message(message: Any) -> dict[str, Any]:
    role = get_field(message, "role")
    content = getattr(message, "content", None)
    return {"role": str(getattr(role, "value", role)), "content": content}
