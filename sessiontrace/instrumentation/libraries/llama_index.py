"""LlamaIndex: its dispatcher tells of spans and of what happens in them.

Its methods run inside the steps. Invariant: of nested model spans (achat, chat, complete) the
outermost is the model event, and what is below it adds nothing but what it does not know.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from sessiontrace.capture.span import Span
from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.core.model_calls import CallRecorder, open_model
from sessiontrace.instrumentation.core.response_fields import get_field, without_none
from sessiontrace.instrumentation.openai_family.chat_format import usage_of

_OPEN_MAX = 10_000


class LlamaIndex:
    """The instrumentor of llama-index-core."""

    def __init__(self) -> None:
        self._dispatcher: Any = None
        self._watch: _Watch | None = None
        self._joined: list[Any] = []

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Join the root dispatcher's span and event handlers."""
        if self._dispatcher is not None:
            return
        from llama_index_instrumentation.event_handlers import BaseEventHandler
        from llama_index_instrumentation.span_handlers import NullSpanHandler

        self._watch = watch = _Watch(calls)
        spans: Any = type(
            "SessionTraceSpans",
            (NullSpanHandler,),
            {
                "class_name": classmethod(lambda cls: "SessionTraceSpans"),
                "span_enter": lambda self, *args, **kwargs: watch.enter(*args, **kwargs),
                "span_exit": lambda self, *args, **kwargs: watch.leave(*args, **kwargs),
                "span_drop": lambda self, *args, **kwargs: watch.drop(*args, **kwargs),
            },
        )
        events: Any = type(
            "SessionTraceEvents",
            (BaseEventHandler,),
            {
                "class_name": classmethod(lambda cls: "SessionTraceEvents"),
                "handle": lambda self, event, **more: watch.handle(event),
            },
        )
        self._dispatcher = module.get_dispatcher()
        self._joined = [spans(), events()]
        self._dispatcher.add_span_handler(self._joined[0])
        self._dispatcher.add_event_handler(self._joined[1])

    def uninstall(self) -> None:
        """Leave the handlers."""
        if self._dispatcher is None:
            return
        for name in ("span_handlers", "event_handlers"):
            known = getattr(self._dispatcher, name)
            known[:] = [one for one in known if all(one is not ours for ours in self._joined)]
        self._dispatcher = None


ENTRY = Entry(name="llama-index", target="llama_index.core.instrumentation", make=LlamaIndex)


class _Watch:
    """The dispatcher's spans by their ids."""

    def __init__(self, calls: CallRecorder) -> None:
        self._calls = calls
        self._spans: dict[str, Span] = {}

    def enter(self, id_: str, bound_args: Any, *args: Any, **more: Any) -> None:
        """A method of the library was entered."""
        try:
            if len(self._spans) < _OPEN_MAX:
                above = self._spans.get(more.get("parent_id") or "")
                name = id_.partition("-")[0]
                span = self._calls.open(name, "chain", parent=above)
                if span is not None:
                    self._spans[id_] = span
        except Exception:
            pass

    def leave(self, id_: str, *args: Any, **more: Any) -> None:
        """It returned."""
        span = self._spans.pop(id_, None)
        if span is None:
            return
        result = more.get("result")
        if span.type == "chain" and result is not None and isinstance(result, (str, int, dict)):
            span.set(outputs=result)
        span.end()

    def drop(self, id_: str, *args: Any, **more: Any) -> None:
        """It raised."""
        span = self._spans.pop(id_, None)
        error = more.get("err")
        if span is not None:
            span.__exit__(None if error is None else type(error), error, None)

    def handle(self, event: Any) -> None:
        """Something happened inside one of the spans."""
        try:
            self._handle(event)
        except Exception:
            pass

    def _handle(self, event: Any) -> None:
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
            shown = [{"content": one.get_content(), "score": one.score} for one in nodes]
            span.set(outputs={"documents": shown})
        elif kind == "QueryStartEvent":
            span.set(inputs={"query": str(get_field(event, "query"))})
        elif kind == "QueryEndEvent":
            span.set(outputs=str(get_field(event, "response")))


def _start_model(span: Span, event: Any) -> None:
    above = span.parent
    while above is not None and above.type == "chain":
        above = above.parent
    if above is not None and open_model(span.recorder, above) is above:
        return
    known = get_field(event, "model_dict") or {}
    model = known.get("model") or known.get("model_name") or known.get("class_name")
    asked = get_field(event, "messages")
    inputs: dict[str, Any] = {"prompt": get_field(event, "prompt")}
    if asked is not None:
        inputs = {"chat_history": [_message(one) for one in asked]}
    parameters = {name: known[name] for name in ("temperature", "max_tokens") if name in known}
    span.type = "model"
    span.name = f"chat {model}"
    span.set(
        inputs=inputs,
        config=without_none({"type": "chat", "model": model, "hyperparameters": parameters}),
    )


def _end_model(span: Span, response: Any) -> None:
    message = get_field(response, "message")
    text = get_field(response, "text")
    shown = {"role": "assistant", "content": text} if message is None else _message(message)
    usage = get_field(get_field(response, "raw"), "usage")
    span.set(outputs=shown, metadata=usage_of(usage) if usage is not None else None)


def _message(message: Any) -> dict[str, Any]:
    role = get_field(message, "role")
    content = getattr(message, "content", None)
    return {"role": str(getattr(role, "value", role)), "content": content}
