"""ollama: chat, generate and embed, whole and streamed, at its clients' one request method.

Runs in the thread or task of the call. Invariant: a stream stays a generator, as the
library makes it.
"""

from __future__ import annotations

import functools
import inspect
from types import ModuleType
from typing import Any

from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.core.method_patching import MethodPatcher
from sessiontrace.instrumentation.core.model_calls import Answer, CallRecorder, ModelCall, open_call
from sessiontrace.instrumentation.core.model_methods import (
    MethodAdapter,
    ModelCallArgs,
    ModelMethods,
)
from sessiontrace.instrumentation.core.response_fields import (
    count_of,
    get_field,
    joined,
    merge_delta,
    other_fields,
    require_object,
    tool_call,
    without_none,
)


class Ollama:
    """The instrumentor of ollama."""

    def __init__(self) -> None:
        self._methods = ModelMethods("ollama")
        self._patcher = MethodPatcher()

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Wrap the request method of both clients, and the one that gets the HTTP response."""
        self._methods.start(calls)
        adapter = MethodAdapter(
            _read_call, ollama_answer, OllamaAssembler, unparsed_body=_unparsed_body
        )
        for client in (module.Client, module.AsyncClient):
            self._methods.patch(client, "_request", adapter)
            self._patcher.patch(client, "_request_raw", _note_response)

    def uninstall(self) -> None:
        """Put the methods back."""
        self._methods.stop()
        self._patcher.restore()


ENTRY = Entry(name="ollama", target="ollama._client", make=Ollama)


def _note_response(original: Any) -> Any:
    """The open call gets the HTTP response, for the case that the library cannot parse it."""

    def note(response: Any) -> Any:
        call = open_call.get()
        if call is not None and call.subject is None:
            call.subject = response
        return response

    if inspect.iscoroutinefunction(original):

        @functools.wraps(original)
        async def async_method(*args: Any, **kwargs: Any) -> Any:
            return note(await original(*args, **kwargs))

        return async_method

    @functools.wraps(original)
    def method(*args: Any, **kwargs: Any) -> Any:
        return note(original(*args, **kwargs))

    return method


def _unparsed_body(call: ModelCall, error: BaseException) -> bytes | None:
    body = getattr(call.subject, "content", None)
    return body if isinstance(body, bytes) else None


def _read_call(this: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ModelCallArgs | None:
    path = args[2] if len(args) > 2 else kwargs.get("url")
    body = kwargs.get("json") or {}
    config = without_none({"hyperparameters": body.get("options"), "tools": body.get("tools")})
    if path == "/api/chat":
        return ModelCallArgs(
            "chat", body.get("model"), {"chat_history": body.get("messages")}, config
        )
    if path == "/api/generate":
        inputs = without_none({"prompt": body.get("prompt"), "system": body.get("system")})
        return ModelCallArgs("text_completion", body.get("model"), inputs, config)
    if path == "/api/embed":
        return ModelCallArgs("embeddings", body.get("model"), {"input": body.get("input")}, config)
    return None


def ollama_answer(result: Any) -> Answer:
    require_object(result)
    vectors = get_field(result, "embeddings")
    if vectors is not None:
        outputs = {"embeddings": len(vectors), "dimensions": len(vectors[0]) if vectors else 0}
        return Answer(outputs, _metadata(result))
    assembler = OllamaAssembler()
    assembler.add(result)
    outputs, metadata = assembler.answer()
    metadata.pop("stream_end", None)
    return Answer(outputs, metadata)


def _metadata(last: Any) -> dict[str, Any]:
    prompt = count_of(get_field(last, "prompt_eval_count"))
    completion = count_of(get_field(last, "eval_count"))
    total = prompt + completion if prompt is not None and completion is not None else None
    return without_none(
        {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": total,
            "finish_reason": get_field(last, "done_reason"),
            "response_model": get_field(last, "model"),
        }
    )


_MESSAGE_FIELDS = frozenset({"role", "content", "thinking", "tool_calls"})
_CHUNK_FIELDS = frozenset(
    {"message", "response", "thinking", "model", "created_at", "done", "done_reason", "context"}
    | {"prompt_eval_count", "eval_count"}
    | {"total_duration", "load_duration", "prompt_eval_duration", "eval_duration"}
)


class OllamaAssembler:
    """A message from its pieces; a whole message is a single piece."""

    __slots__ = ("_calls", "_error", "_fields", "_last", "_texts", "_thoughts")

    def __init__(self) -> None:
        self._fields: dict[str, Any] = {}
        self._error: Any = None
        self._texts: list[str] = []
        self._thoughts: list[str] = []
        self._calls: list[Any] = []
        self._last: Any = None

    def add(self, chunk: Any) -> None:
        """Keep one piece, of chat or of generate."""
        self._last = chunk
        message = get_field(chunk, "message")
        self._texts.append(get_field(message, "content") or get_field(chunk, "response") or "")
        self._thoughts.append(get_field(message, "thinking") or get_field(chunk, "thinking") or "")
        for call in get_field(message, "tool_calls") or ():
            function = get_field(call, "function")
            self._calls.append(
                tool_call(None, get_field(function, "name"), get_field(function, "arguments"))
            )

        for others in (other_fields(message, _MESSAGE_FIELDS), other_fields(chunk, _CHUNK_FIELDS)):
            if others:
                merge_delta(self._fields, others)
        if error := self._fields.pop("error", None):
            self._error = error

    def answer(self) -> Answer:
        """The message as far as it has come."""
        outputs: dict[str, Any] = {"role": "assistant", "content": joined(self._texts) or None}
        if self._calls:
            outputs["tool_calls"] = self._calls
        if thoughts := joined(self._thoughts):
            outputs["reasoning"] = thoughts
        metadata = _metadata(self._last)
        if not get_field(self._last, "done"):
            metadata["stream_end"] = "cut"
        if self._error is not None:
            metadata["response_error"] = str(self._error)
        return Answer({**outputs, **self._fields}, metadata)
