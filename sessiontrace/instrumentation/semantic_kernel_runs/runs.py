"""Semantic Kernel's calls as events: their inputs, and what their results and streams say.

Runs inside the runs. Invariant: nothing of a stream is read that the program does not read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sessiontrace.capture.handle import OPEN
from sessiontrace.capture.span import Span
from sessiontrace.instrumentation.core.method_steps import Run
from sessiontrace.instrumentation.core.model_calls import CallRecorder
from sessiontrace.instrumentation.core.never_raises import never_raises
from sessiontrace.instrumentation.core.response_fields import get_field, plain, without_none

__all__ = [
    "AgentRun",
    "FunctionRun",
    "OrchestrationRun",
    "SearchRun",
    "history_of",
    "open_function",
    "open_search",
]

_LEFT_OUT = frozenset({"chat_history", "kernel", "service", "execution_settings", "arguments"})
_RESULTS_MAX = 1_000


def history_of(messages: Any) -> dict[str, Any] | None:
    """Texts or messages as a conversation."""
    if messages is None:
        return None
    entries = messages if isinstance(messages, list) else [messages]
    return {"chat_history": [_message(entry) for entry in entries]}


def open_function(calls: CallRecorder, args: Any, options: dict[str, Any]) -> Run | None:
    """A function: a tool, or where it is a prompt that no model has asked for, a chain."""
    function = args[0]
    arguments = options.get("arguments") or (*args, None, None)[2] or {}
    metadata = options.get("metadata") or (*args, None, None, None)[3] or {}
    inputs = {
        name: plain(value)
        for name, value in dict(arguments).items()
        if name not in _LEFT_OUT and not name.startswith("_")
    }
    is_prompt = get_field(get_field(function, "metadata"), "is_prompt") and not metadata.get("id")
    plugin = getattr(function, "plugin_name", None)  # a property
    span = calls.step(
        str(function.name),
        "chain" if is_prompt else "tool",
        inputs=inputs,
        config=without_none(
            {
                "tool_name": None if is_prompt else str(function.name),
                "plugin": plugin or None,
                "description": getattr(function, "description", None) or None,
            }
        ),
        metadata=without_none({"tool_call_id": metadata.get("id")}),
    )
    return None if span is None else FunctionRun(span)


def open_search(calls: CallRecorder, args: Any, options: dict[str, Any]) -> Span | None:
    """A search in a vector store, by values or a vector, or in a memory."""
    store = args[0]
    name = str(get_field(store, "collection_name") or type(store).__name__)
    values = options.get("values") or options.get("query")
    if values is None and len(args) > 1:
        values = args[-1]
    inputs = {
        "query": plain(values) if isinstance(values, (str, dict)) else None,
        "top": options.get("top") or options.get("limit"),
        "dimensions": len(options["vector"]) if options.get("vector") else None,
    }
    return calls.step(name, "retriever", inputs=without_none(inputs))


class AgentRun(Run):
    """A turn of an agent: its last message is the answer, or the pieces of it."""

    def __init__(self, span: Span) -> None:
        super().__init__(span)
        self._pieces: list[str] = []
        self._last: Any = None

    def finish(self, result: Any) -> None:
        """The response."""
        self.span.set(outputs=_message(get_field(result, "message") or result))

    def see(self, item: Any) -> None:
        """A message, or a piece of one."""
        message = get_field(item, "message") or item
        if hasattr(message, "choice_index"):
            self._pieces.append(str(getattr(message, "content", None) or ""))
        else:
            self._last = message

    def close(self) -> None:
        """The answer is there."""
        if self._last is not None:
            self.span.set(outputs=_message(self._last))
        elif text := "".join(self._pieces):
            self.span.set(outputs={"role": "assistant", "content": text})


class FunctionRun(Run):
    """A function, whole or streamed."""

    def __init__(self, span: Span) -> None:
        super().__init__(span)
        self._pieces: list[str] = []

    def finish(self, result: Any) -> None:
        """What it returned."""
        self.span.set(outputs={"result": _value(get_field(result, "value"))})

    def see(self, item: Any) -> None:
        """A piece of a stream."""
        pieces = item if isinstance(item, list) else [get_field(item, "value") or item]
        if len(self._pieces) < _RESULTS_MAX:
            self._pieces.extend(str(piece) for piece in pieces)

    def close(self) -> None:
        """All pieces are there."""
        if self._pieces:
            self.span.set(outputs={"result": "".join(self._pieces)})


class OrchestrationRun(Run):
    """An orchestration, which goes on after ``invoke`` until it has set its result."""

    def finish(self, result: Any) -> None:
        """The promise of a result."""
        if result.event.is_set():
            self._end(result)
            return
        self.goes_on = True
        original = result.event.set

        def set_event() -> None:
            original()
            self._end(result)

        result.event.set = set_event

    @never_raises(None)
    def _end(self, result: Any) -> None:
        if self.span.state != OPEN:
            return
        if result.exception is not None:
            self.span.set(error=result.exception)
        elif result.value is None:
            self.span.set(metadata={"control_flow": "cancelled"})
        else:
            value = result.value
            messages = value if isinstance(value, list) else [value]
            outputs = [_message(message) for message in messages]
            self.span.set(outputs=outputs[0] if len(outputs) == 1 else {"messages": outputs})
        self.span.end()


class SearchRun(Run):
    """A search, whose results are read after its call."""

    def __init__(self, span: Span, read_later: Callable[[Any, Run], Any]) -> None:
        super().__init__(span)
        self._read_later = read_later
        self._documents: list[dict[str, Any]] = []

    def finish(self, result: Any) -> None:
        """The results, or what gives them."""
        results = get_field(result, "results")
        if hasattr(results, "__anext__"):
            self.goes_on = True
            result.results = self._read_later(results, self)
            return
        for item in results or (result if isinstance(result, list) else ()):
            self.see(item)
        self.close()

    def see(self, item: Any) -> None:
        """One result: a record or a text with its score."""
        record = get_field(item, "record")
        content = plain(record) if record is not None else get_field(item, "text")
        score = get_field(item, "score") or get_field(item, "relevance")
        if len(self._documents) < _RESULTS_MAX:
            self._documents.append(without_none({"content": content, "score": score}))

    def close(self) -> None:
        """All results are there."""
        self.span.set(outputs={"documents": self._documents})


def _message(message: Any) -> dict[str, Any]:
    if isinstance(message, str):
        return {"role": "user", "content": message}
    role = get_field(get_field(message, "role"), "value") or "assistant"
    content = message.content if hasattr(message, "content") else plain(message)  # a property
    return without_none({"role": str(role), "name": get_field(message, "name"), "content": content})


def _value(value: Any) -> Any:
    """What a function returned; of a prompt the texts of its answers."""
    if isinstance(value, list) and value and hasattr(value[0], "role"):
        texts = [str(entry) for entry in value]
        return texts[0] if len(texts) == 1 else texts
    return plain(value)
