"""Bedrock through boto3: Converse and InvokeModel, whole and streamed, at botocore's client.

Runs in the thread of the call. Invariant: a response's body is only ever read by its user.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import orjson

from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.core.model_calls import Answer, CallRecorder
from sessiontrace.instrumentation.core.model_methods import (
    MethodAdapter,
    ModelCallArgs,
    ModelMethods,
)
from sessiontrace.instrumentation.core.response_fields import get_field, tool_call, without_none
from sessiontrace.instrumentation.core.stream_observer import StreamObserver
from sessiontrace.instrumentation.core.stream_proxy import watch_object
from sessiontrace.instrumentation.openai_family.anthropic_messages import (
    message_answer,
    message_request,
)

_PARAMETERS = {"maxTokens": "max_tokens", "topP": "top_p", "stopSequences": "stop"}


class Bedrock:
    """The instrumentor of botocore's clients, for the bedrock-runtime service alone."""

    def __init__(self) -> None:
        self._methods = ModelMethods("aws.bedrock")

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Stand in the one method that every operation goes through."""
        self._methods.start(calls)
        adapter = MethodAdapter(_ask, _answer, _ConverseAssembler, _watch)
        self._methods.patch(module.BaseClient, "_make_api_call", adapter)

    def uninstall(self) -> None:
        """Put it back."""
        self._methods.stop()


ENTRY = Entry(name="bedrock", target="botocore.client", make=Bedrock)


def _ask(client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ModelCallArgs | None:
    if client.meta.service_model.service_name != "bedrock-runtime":
        return None
    operation = args[0] if args else kwargs["operation_name"]
    given = args[1] if len(args) > 1 else kwargs["api_params"]
    model = given.get("modelId")
    if operation in ("Converse", "ConverseStream"):
        history = [_message(one) for one in given.get("messages") or ()]
        if given.get("system"):
            history.insert(0, {"role": "system", **_shown(given["system"])})
        settings = given.get("inferenceConfig") or {}
        parameters = {_PARAMETERS.get(name, name): value for name, value in settings.items()}
        tools = (given.get("toolConfig") or {}).get("tools")
        config = without_none({"hyperparameters": parameters or None, "tools": tools})
        return ModelCallArgs("chat", model, {"chat_history": history}, config)
    if operation in ("InvokeModel", "InvokeModelWithResponseStream"):
        body = given.get("body")
        asked = orjson.loads(body) if isinstance(body, (str, bytes, bytearray)) else {}
        if isinstance(asked, dict) and "messages" in asked:
            inputs, parameters = message_request(asked)
            return ModelCallArgs("chat", model, inputs, {"hyperparameters": parameters})
        return ModelCallArgs("chat", model, {"input": asked}, {})
    return None


def _message(message: Any) -> dict[str, Any]:
    return {"role": message.get("role"), **_shown(message.get("content") or ())}


def _shown(blocks: Any) -> dict[str, Any]:
    texts: list[str] = []
    calls: list[Any] = []
    others: list[Any] = []
    for block in blocks:
        if "text" in block:
            texts.append(block["text"])
        elif "toolUse" in block:
            use = block["toolUse"]
            calls.append(tool_call(use.get("toolUseId"), use.get("name"), use.get("input")))
        else:
            others.append(block)
    shown: dict[str, Any] = {"content": "".join(texts) if texts else None}
    if others:
        shown["content"] = list(blocks)
    if calls:
        shown["tool_calls"] = calls
    return shown


def _answer(result: Any) -> Answer:
    message = (result.get("output") or {}).get("message") or {}
    metadata = {
        **_usage(result.get("usage")),
        **_http(result),
        "finish_reason": result.get("stopReason"),
    }
    return Answer({"role": "assistant", **_shown(message.get("content") or ())}, metadata)


def _usage(usage: Any) -> dict[str, Any]:
    usage = usage or {}
    return without_none(
        {
            "prompt_tokens": usage.get("inputTokens"),
            "completion_tokens": usage.get("outputTokens"),
            "total_tokens": usage.get("totalTokens"),
            "cache_read_tokens": usage.get("cacheReadInputTokens"),
            "cache_write_tokens": usage.get("cacheWriteInputTokens"),
        }
    )


def _http(result: Any) -> dict[str, Any]:
    known = result.get("ResponseMetadata") or {}
    found = {"request_id": known.get("RequestId"), "http_status": known.get("HTTPStatusCode")}
    return without_none(found)


def _watch(result: Any, observer: StreamObserver) -> bool:
    """The streams of ConverseStream and InvokeModel..., and the unread body of InvokeModel."""
    observer.extra.update(_http(result))
    if "stream" in result:
        watch_object(result["stream"], observer)
        return True
    body = result.get("body")
    if body is None:
        return False
    if hasattr(body, "read"):
        observer.assembler = _InvokeModelAssembler()
        _watch_body(body, observer)
    else:
        observer.assembler = None
        watch_object(body, observer)
    return True


def _watch_body(body: Any, observer: StreamObserver) -> None:
    """Hear of ``body.read()``: by its class, so that no cycle comes of it."""
    kind: Any = type(body)

    def read(self: Any, amt: Any = None) -> Any:
        content = kind.read(self, amt)
        observer.chunk(content)
        if amt is None or not content:
            observer.end("exhausted")
        return content

    body.__class__ = type(kind.__name__, (kind,), {"read": read, "__module__": kind.__module__})
    observer.follow(body)


class _InvokeModelAssembler:
    """The body of InvokeModel; the form is the model maker's own."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def add(self, chunk: Any) -> None:
        """A piece of it."""
        self._pieces.append(chunk)

    def answer(self) -> Answer:
        """Anthropic's form is understood, others are shown as they are."""
        found = orjson.loads(b"".join(self._pieces))
        if isinstance(found, dict) and isinstance(found.get("content"), list):
            return message_answer(found)
        return Answer(found, {})


class _ConverseAssembler:
    """A message from the events of ConverseStream."""

    __slots__ = ("_blocks", "_metadata")

    def __init__(self) -> None:
        self._blocks: dict[int, dict[str, Any]] = {}
        self._metadata: dict[str, Any] = {}

    def add(self, event: Any) -> None:
        """One event, a dict with its kind as the only key."""
        for kind, held in event.items():
            index = get_field(held, "contentBlockIndex") or 0
            if kind == "contentBlockStart" and "toolUse" in held.get("start", ()):
                self._blocks[index] = {"toolUse": {**held["start"]["toolUse"], "input": ""}}
            elif kind == "contentBlockDelta":
                self._add_delta(index, held.get("delta") or {})
            elif kind == "messageStop":
                self._metadata["finish_reason"] = held.get("stopReason")
            elif kind == "metadata":
                self._metadata.update(_usage(held.get("usage")))

    def _add_delta(self, index: int, delta: dict[str, Any]) -> None:
        if "text" in delta:
            block = self._blocks.setdefault(index, {"text": ""})
            block["text"] += delta["text"]
        elif "toolUse" in delta and "toolUse" in self._blocks.get(index, ()):
            self._blocks[index]["toolUse"]["input"] += delta["toolUse"].get("input", "")

    def answer(self) -> Answer:
        """The message as far as it came."""
        blocks = [block for _, block in sorted(self._blocks.items())]
        return Answer({"role": "assistant", **_shown(blocks)}, self._metadata)
