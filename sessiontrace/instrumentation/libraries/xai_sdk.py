"""xai-sdk: the chats of its two clients over gRPC, whole, streamed, parsed and deferred.

Runs in the thread or task of the call. Invariant: a stream stays a generator, as the SDK makes it.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.core.model_calls import Answer, CallRecorder
from sessiontrace.instrumentation.core.model_methods import (
    MethodAdapter,
    ModelCallArgs,
    ModelMethods,
)
from sessiontrace.instrumentation.core.response_fields import pick, tool_call, without_none


class XaiSdk:
    """The instrumentor of xai-sdk's ``Chat``, sync and async."""

    def __init__(self) -> None:
        self._methods = ModelMethods("x_ai")

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Wrap the methods that sample the model."""
        self._methods.start(calls)
        adapter = MethodAdapter(_read_call, _read_result, _XaiAssembler)
        for name in ("sample", "stream", "parse", "defer"):
            for method in (name, f"{name}_batch"):
                if method in module.Chat.__dict__:
                    self._methods.patch(module.Chat, method, adapter)

    def uninstall(self) -> None:
        """Put the methods back."""
        self._methods.stop()


ENTRY = Entry(
    name="xai-sdk",
    target="xai_sdk.sync.chat",
    make=XaiSdk,
    also=("xai_sdk.aio.chat",),
)

_HYPERPARAMETERS = frozenset(
    {"temperature", "top_p", "max_tokens", "n", "seed", "stop", "logprobs", "top_logprobs"}
    | {"frequency_penalty", "presence_penalty", "reasoning_effort", "response_format"}
    | {"tool_choice", "parallel_tool_calls", "search_parameters", "previous_response_id"}
)


def _read_call(chat: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ModelCallArgs:
    request = _fields(chat.proto)
    history = [_request_message(message) for message in request.get("messages") or ()]
    config: dict[str, Any] = pick(request, {"tools"})
    if hyperparameters := pick(request, _HYPERPARAMETERS):
        config["hyperparameters"] = hyperparameters
    return ModelCallArgs("chat", request.get("model"), {"chat_history": history}, config)


def _fields(proto: Any) -> dict[str, Any]:
    """The fields of a protocol buffer; the SDK depends on the package that reads them."""
    from google.protobuf.json_format import MessageToDict

    fields: dict[str, Any] = MessageToDict(proto, preserving_proto_field_name=True)
    return fields


def _request_message(message: dict[str, Any]) -> dict[str, Any]:
    """A message of the request: texts joined, other parts as they are."""
    parts = message.get("content") or []
    texts = [part["text"] for part in parts if set(part) == {"text"}]
    content: Any = "".join(texts) if len(texts) == len(parts) else parts
    role = str(message.get("role", "")).removeprefix("ROLE_").lower() or "user"
    fields: dict[str, Any] = {"role": role, "content": content}
    if calls := message.get("tool_calls"):
        fields["tool_calls"] = [
            tool_call(call.get("id"), *_function(call.get("function") or {})) for call in calls
        ]
    return {**fields, **pick(message, {"name", "tool_call_id", "reasoning_content"})}


def _function(function: dict[str, Any]) -> tuple[Any, Any]:
    return function.get("name"), function.get("arguments")


def _read_result(result: Any) -> Answer:
    if isinstance(result, tuple):  # parse: the response and the parsed object
        result = result[0]
    return _answer(list(result) if isinstance(result, (list, tuple)) else [result])


class _XaiAssembler:
    """An answer from the responses of its stream, which grow with each chunk."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last: Any = None

    def add(self, chunk: Any) -> None:
        """Keep the response, or responses, that this chunk has been added to."""
        self._last = chunk[0]

    def answer(self) -> Answer:
        """The answer as far as it has come."""
        if self._last is None:
            return Answer({"role": "assistant", "content": None}, {"stream_end": "cut"})
        responses = list(self._last) if isinstance(self._last, (list, tuple)) else [self._last]
        outputs, metadata = _answer(responses)
        if "finish_reason" not in metadata:
            metadata["stream_end"] = "cut"
        return Answer(outputs, metadata)


def _answer(responses: list[Any]) -> Answer:
    messages = [_message(response) for response in responses]
    first = responses[0]
    proto = first.proto
    reasons = [
        reason
        for response in responses
        if (reason := str(response.finish_reason)) not in ("", "REASON_INVALID")
    ]
    metadata = {
        **_usage(first.usage),
        "response_id": first.id or None,
        "response_model": getattr(proto, "model", None) or None,
        "finish_reason": reasons[0] if len(set(reasons)) == 1 else reasons or None,
        "cost": getattr(first, "cost_usd", None),
    }
    outputs = messages[0] if len(messages) == 1 else {"choices": messages}
    return Answer(outputs, without_none(metadata))


def _message(response: Any) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": response.content or None}
    fields = {
        "tool_calls": [
            tool_call(call.id, call.function.name, call.function.arguments)
            for call in response.tool_calls
        ],
        "reasoning": response.reasoning_content,
        "reasoning_signatures": [text] if (text := _encrypted(response)) else [],
        "citations": list(getattr(response, "citations", None) or ()),
    }
    message.update({name: value for name, value in fields.items() if value})
    return message


def _encrypted(response: Any) -> Any:
    return getattr(response, "encrypted_content", None)


def _usage(usage: Any) -> dict[str, Any]:
    """Token counts; xAI counts the reasoning beside the completion."""
    prompt, total = usage.prompt_tokens, usage.total_tokens
    completion, reasoning = usage.completion_tokens, usage.reasoning_tokens
    if total == prompt + completion + reasoning:
        completion += reasoning
    counts = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": total,
        "reasoning_tokens": reasoning,
        "cache_read_tokens": usage.cached_prompt_text_tokens,
    }
    return counts if total else {}
