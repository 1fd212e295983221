"""Answers that a program fetches after the call: results of a batch, responses in the background.

A batch's results come as a file of JSON lines (openai, groq, together) or as a stream of them
(anthropic); each answer in it becomes a model event below one chain event. Runs on the thread that
fetches, later on the thread that reads. Invariant: the user gets the very object that the SDK made,
and an answer that is fetched twice in one process is recorded once.
"""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import orjson

from sessiontrace.capture.span import Span
from sessiontrace.instrumentation.core.model_calls import Answer, CallRecorder
from sessiontrace.instrumentation.core.never_raises import never_raises
from sessiontrace.instrumentation.core.response_fields import get_field, without_none
from sessiontrace.instrumentation.core.stream_observer import AsyncChunks, Chunks
from sessiontrace.instrumentation.core.stream_reading import StreamReading
from sessiontrace.instrumentation.openai_family.endpoints import (
    CHAT_COMPLETIONS,
    COMPLETIONS,
    EMBEDDINGS,
    MESSAGES,
    RESPONSES,
    Endpoint,
)
from sessiontrace.runtime.reentrant_lock import ReentrantLock
from sessiontrace.runtime.signals import raise_if_from_signal

__all__ = ["BACKGROUND_RESPONSE", "BATCH_FILE", "BATCH_STREAM", "Fetch", "fetch_of"]

_FETCHED_MAX = 1_000


class _Fetched:
    """The ids of what has been recorded; the oldest are forgotten."""

    def __init__(self) -> None:
        self._ids: OrderedDict[str, None] = OrderedDict()
        self._lock = ReentrantLock()

    def is_new(self, identifier: str) -> bool:
        """Whether the id is a new one; remembers it."""
        with self._lock:
            if identifier in self._ids:
                return False
            self._ids[identifier] = None
            if len(self._ids) > _FETCHED_MAX:
                self._ids.popitem(last=False)
            return True


_fetched = _Fetched()


class Fetch:
    """A way to fetch answers: requests whose path has ``start`` in it and ends with ``end``.

    ``record(calls, provider, identifier, result)`` records what the SDK returned.
    """

    __slots__ = ("end", "record", "start")

    def __init__(
        self, start: str, end: str, record: Callable[[CallRecorder, str, str, Any], None]
    ) -> None:
        self.start: str = start
        self.end: str = end
        self.record: Callable[[CallRecorder, str, str, Any], None] = record


def fetch_of(fetches: tuple[Fetch, ...], path: str) -> tuple[Fetch, str] | None:
    """The fetch that a path belongs to, and the id in the path."""
    for fetch in fetches:
        _, start, tail = path.partition("?")[0].rpartition(fetch.start)
        identifier = tail.removesuffix(fetch.end)
        if start and tail.endswith(fetch.end) and identifier and "/" not in identifier:
            return fetch, identifier
    return None


_FINAL = frozenset({"completed", "incomplete", "failed", "cancelled"})


def _record_background(calls: CallRecorder, provider: str, identifier: str, result: Any) -> None:
    """A response that was made in the background, when it is there."""
    if not get_field(result, "background") or get_field(result, "status") not in _FINAL:
        return
    if calls.recorder() is None or not _fetched.is_new(identifier):
        return
    model = get_field(result, "model")
    config = {"type": "chat", "model": model, "provider": provider}
    call = calls.model(f"chat {model}", config=config, metadata={"fetched": True})
    if call is not None:
        outputs, metadata = RESPONSES.answer(result)
        call.end(outputs=outputs, metadata=metadata)


def _record_file(calls: CallRecorder, provider: str, identifier: str, result: Any) -> None:
    """The results in a file, if it is one of a batch's results."""
    content = _content_of(result)
    if content is None:
        return
    lines = (line for line in content.splitlines() if line.strip())
    first = next(lines, b"")
    if not first.startswith(b"{") or b'"custom_id"' not in first or not _is_result(first):
        return
    observer = _ResultsObserver.opened(calls, provider, identifier)
    if observer is not None:
        observer.chunk(orjson.loads(first))
        for line in lines:
            observer.line(line)
        observer.end("exhausted")


def _content_of(result: Any) -> bytes | None:
    """The content of a file, in each form that a user can ask for; None where it is not read."""
    if isinstance(result, str):
        return result.encode()
    response = getattr(result, "response", None) or getattr(result, "http_response", None)
    try:
        content: bytes = response.content  # type: ignore[union-attr]
    except Exception as fault:  # httpx.ResponseNotRead, which this module cannot import
        raise_if_from_signal(fault)
        return None
    return content


def _is_result(line: bytes) -> bool:
    """Whether a line is of a file of results, not of requests."""
    try:
        return not {"response", "error"}.isdisjoint(orjson.loads(line))
    except orjson.JSONDecodeError:
        return False


def _record_stream(calls: CallRecorder, provider: str, identifier: str, result: Any) -> None:
    """The results that a decoder of JSON lines yields, each when the program reads it."""
    name = "_decoder" if "_decoder" in getattr(result, "__dict__", {}) else "_iterator"
    inner = getattr(result, name, None)
    if inner is None:  # a raw response
        return
    observer: Any = _ResultsObserver.opened(calls, provider, identifier)
    if observer is not None:
        chunks = AsyncChunks if hasattr(inner, "__anext__") else Chunks
        result.__dict__[name] = chunks(inner, observer)
        observer.follow(result)


BACKGROUND_RESPONSE = Fetch("/responses/", "", _record_background)
BATCH_FILE = Fetch("/files/", "/content", _record_file)
BATCH_STREAM = Fetch("/messages/batches/", "/results", _record_stream)

_ENDPOINTS: dict[str, Endpoint] = {
    "chat.completion": CHAT_COMPLETIONS,
    "response": RESPONSES,
    "list": EMBEDDINGS,
    "text_completion": COMPLETIONS,
    "message": MESSAGES,
}


class _ResultsObserver(StreamReading):
    """Records the results of a batch below one chain event, which ends when they do."""

    __slots__ = ("_calls", "_finalizer", "_kinds", "_provider", "_span")

    def __init__(self, calls: CallRecorder, provider: str, span: Span) -> None:
        super().__init__()  # without an assembler, so that `Chunks` gives each result to `chunk`
        self._calls = calls
        self._provider = provider
        self._span = span
        self._kinds: dict[str, int] = {}
        self._finalizer: weakref.finalize[..., Any] | None = None

    @classmethod
    def opened(cls, calls: CallRecorder, provider: str, identifier: str) -> _ResultsObserver | None:
        """An observer of results that were not recorded before; None otherwise."""
        if calls.recorder() is None or not _fetched.is_new(identifier):
            return None
        config = {"provider": provider}
        span = calls.open(
            "batch results", "chain", current=False, inputs={"id": identifier}, config=config
        )
        return None if span is None else cls(calls, provider, span)

    def follow(self, stream: Any) -> None:
        """End the chain event when ``stream`` is collected half read, or the program ends."""
        self._finalizer = weakref.finalize(stream, self.end, "dropped")

    @never_raises(None)
    def line(self, line: bytes) -> None:
        """Record one line of a file."""
        self.chunk(orjson.loads(line))

    @never_raises(None)
    def chunk(self, result: Any) -> None:
        """Record one result: an answer or an error."""
        kind, body, metadata = _read(result)
        self._kinds[kind] = self._kinds.get(kind, 0) + 1
        if kind in ("canceled", "expired"):  # no model has answered
            return
        endpoint = _ENDPOINTS.get(get_field(body, "object") or get_field(body, "type") or "")
        operation = "chat" if endpoint is None else endpoint.operation
        model = get_field(body, "model")
        config = {"type": operation, "model": model, "provider": self._provider, "batch": True}
        name = operation if model is None else f"{operation} {model}"
        call = self._calls.model(name, config=without_none(config), parent=self._span)
        if call is not None:
            answer = Answer(body, {}) if endpoint is None else endpoint.answer(body)
            call.end(outputs=answer.outputs, metadata={**answer.metadata, **metadata})

    def end(self, how: str, error: BaseException | None = None) -> None:
        """End the chain event, once, with the number of results by kind."""
        if self._finalizer is not None:
            self._finalizer.detach()
        if how != "exhausted":
            self._span.set(metadata={"stream_end": how})
        if error is not None:
            self._span.set_error(f"{type(error).__name__}: {error}")
        self._span.end(outputs={"results": self._kinds})


def _read(result: Any) -> tuple[str, Any, dict[str, Any]]:
    """The kind of a result, the answer in it, and the metadata of its event."""
    metadata = {"custom_id": get_field(result, "custom_id")}
    body: Any
    anthropic = get_field(result, "result")
    if anthropic is not None:
        kind = str(get_field(anthropic, "type"))
        body = get_field(anthropic, "message")
        error = get_field(get_field(anthropic, "error"), "error")
    else:
        response = get_field(result, "response")
        body = get_field(response, "body")
        status = get_field(response, "status_code")
        error = get_field(result, "error") or get_field(body, "error")
        kind = "errored" if error is not None else "succeeded"
        code = str(get_field(error, "code") or "")
        kind = "expired" if code == "batch_expired" else kind
        metadata |= {"http_status": status, "request_id": get_field(response, "request_id")}
    if kind == "errored":
        metadata["error_code"] = get_field(error, "type") or get_field(error, "code")
        metadata["response_error"] = str(get_field(error, "message") or error or kind)
    return kind, body, without_none(metadata)
