"""Bedrock through boto3: Converse and InvokeModel, whole and streamed, at botocore's client.

Runs in the thread of the call. Invariant: only the user reads the body of a response.
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
from sessiontrace.instrumentation.core.response_fields import (
    get_field,
    merge_delta,
    other_fields,
    tool_call,
    without_none,
)
from sessiontrace.instrumentation.core.stream_observer import StreamObserver
from sessiontrace.instrumentation.core.stream_proxy import watch_object
from sessiontrace.instrumentation.openai_family.anthropic_messages import (
    MessageAssembler,
    message_answer,
    message_request,
)

_TOOL_USE_FIELDS = frozenset({"toolUseId", "name", "input"})
_ANSWER_FIELDS = frozenset({"output", "usage", "stopReason", "ResponseMetadata", "metrics"})
_PARAMETERS = {"maxTokens": "max_tokens", "topP": "top_p", "stopSequences": "stop"}


class Bedrock:
    """The instrumentor of botocore's clients, for the service bedrock-runtime only."""

    def __init__(self) -> None:
        self._methods = ModelMethods("aws.bedrock")

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Wrap the one method that every operation goes through."""
        self._methods.start(calls)
        adapter = MethodAdapter(_read_call, _read_result, _ConverseAssembler, _observe)
        self._methods.patch(module.BaseClient, "_make_api_call", adapter)

    def uninstall(self) -> None:
        """Put the method back."""
        self._methods.stop()


ENTRY = Entry(name="bedrock", target="botocore.client", make=Bedrock)


def _read_call(client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ModelCallArgs | None:
    if client.meta.service_model.service_name != "bedrock-runtime":
        return None
    operation = args[0] if args else kwargs["operation_name"]
    params = args[1] if len(args) > 1 else kwargs["api_params"]
    model = params.get("modelId")
    if operation in ("Converse", "ConverseStream"):
        history = [_message(message) for message in params.get("messages") or ()]
        if params.get("system"):
            history.insert(0, {"role": "system", **_content_fields(params["system"])})
        settings = params.get("inferenceConfig") or {}
        parameters = {_PARAMETERS.get(name, name): value for name, value in settings.items()}
        tools = (params.get("toolConfig") or {}).get("tools")
        config = without_none({"hyperparameters": parameters or None, "tools": tools})
        return ModelCallArgs("chat", model, {"chat_history": history}, config)
    if operation in ("InvokeModel", "InvokeModelWithResponseStream"):
        body = params.get("body")
        request_body = orjson.loads(body) if isinstance(body, (str, bytes, bytearray)) else {}
        if isinstance(request_body, dict) and "messages" in request_body:
            inputs, parameters = message_request(request_body)
            return ModelCallArgs("chat", model, inputs, {"hyperparameters": parameters})
        return ModelCallArgs("chat", model, {"input": request_body}, {})
    return None


def _message(message: Any) -> dict[str, Any]:
    return {"role": message.get("role"), **_content_fields(message.get("content") or ())}


def _content_fields(blocks: Any) -> dict[str, Any]:
    texts: list[str] = []
    calls: list[Any] = []
    thoughts: list[str] = []
    signatures: list[Any] = []
    others: list[Any] = []
    for block in blocks:
        if "text" in block:
            texts.append(block["text"])
        elif "toolUse" in block:
            use = block["toolUse"]
            call = tool_call(use.get("toolUseId"), use.get("name"), use.get("input"))
            calls.append({**call, **other_fields(use, _TOOL_USE_FIELDS)})
        elif "reasoningContent" in block:
            _add_reasoning(block["reasoningContent"], thoughts, signatures)
        else:
            others.append(block)
    fields: dict[str, Any] = {"content": "".join(texts) if texts else None}
    if others:
        fields["content"] = list(blocks)
    if calls:
        fields["tool_calls"] = calls
    if thoughts:
        fields["reasoning"] = "\n".join(thoughts)
    if signatures:
        fields["reasoning_signatures"] = signatures
    return fields


def _add_reasoning(reasoning: Any, thoughts: list[str], signatures: list[Any]) -> None:
    text = reasoning.get("reasoningText") or {}
    if text.get("text"):
        thoughts.append(text["text"])
    signature = text.get("signature") or reasoning.get("redactedContent")
    if signature:
        signatures.append(signature)


def _read_result(result: Any) -> Answer:
    message = (result.get("output") or {}).get("message") or {}
    metadata = {
        **_usage(result.get("usage")),
        **_http(result),
        "finish_reason": result.get("stopReason"),
    }
    outputs = {"role": "assistant", **_content_fields(message.get("content") or ())}
    return Answer({**outputs, **other_fields(result, _ANSWER_FIELDS)}, without_none(metadata))


def _usage(usage: Any) -> dict[str, Any]:
    usage = usage or {}
    prompt = usage.get("inputTokens")
    read, written = usage.get("cacheReadInputTokens"), usage.get("cacheWriteInputTokens")
    if prompt is not None:  # Bedrock counts the cache beside it
        prompt += (read or 0) + (written or 0)
    return without_none(
        {
            "prompt_tokens": prompt,
            "completion_tokens": usage.get("outputTokens"),
            "total_tokens": usage.get("totalTokens"),
            "cache_read_tokens": read,
            "cache_write_tokens": written,
        }
    )


def _http(result: Any) -> dict[str, Any]:
    http = result.get("ResponseMetadata") or {}
    metadata = {"request_id": http.get("RequestId"), "http_status": http.get("HTTPStatusCode")}
    return without_none(metadata)


def _observe(result: Any, observer: StreamObserver) -> bool:
    """Observe a stream, or the unread body of InvokeModel."""
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
        observer.assembler = _InvokeStreamAssembler()
        watch_object(body, observer)
    return True


def _watch_body(body: Any, observer: StreamObserver) -> None:
    """Observe ``body.read()`` by the class of ``body``, for the reasons in ``stream_proxy``."""
    base: Any = type(body)

    def read(self: Any, amt: Any = None) -> Any:
        content = base.read(self, amt)
        observer.chunk(content)
        if amt is None or not content:
            observer.end("exhausted")
        return content

    body.__class__ = type(base.__name__, (base,), {"read": read, "__module__": base.__module__})
    observer.follow(body)


class _InvokeModelAssembler:
    """The body of InvokeModel, in the form of the model's maker."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def add(self, chunk: Any) -> None:
        """Keep one piece."""
        self._pieces.append(chunk)

    def answer(self) -> Answer:
        """Read Anthropic's form; give a body of another form as it is."""
        body = orjson.loads(b"".join(self._pieces))
        if isinstance(body, dict) and isinstance(body.get("content"), list):
            return message_answer(body)
        return Answer(body, {})


class _InvokeStreamAssembler:
    """The events of InvokeModelWithResponseStream, in the form of the model's maker."""

    __slots__ = ("_converse", "_is_message", "_message")

    def __init__(self) -> None:
        self._message = MessageAssembler()
        self._converse = _ConverseAssembler()
        self._is_message = True

    def add(self, event: Any) -> None:
        """Keep one event: Anthropic's has a type, Amazon's has its kind as the only key."""
        content = (event.get("chunk") or {}).get("bytes")
        body = orjson.loads(content) if content else event
        self._is_message = "type" in body
        (self._message if self._is_message else self._converse).add(body)

    def answer(self) -> Answer:
        """The answer as far as it has come."""
        return (self._message if self._is_message else self._converse).answer()


class _ConverseAssembler:
    """A message from the events of ConverseStream."""

    __slots__ = ("_blocks", "_fields", "_metadata")

    def __init__(self) -> None:
        self._fields: dict[str, Any] = {}
        self._blocks: dict[int, dict[str, Any]] = {}
        self._metadata: dict[str, Any] = {}

    def add(self, event: Any) -> None:
        """Keep one event, a dict with its kind as the only key."""
        for kind, payload in event.items():
            index = get_field(payload, "contentBlockIndex") or 0
            if kind == "contentBlockStart":
                self._start(index, payload.get("start") or {})
            elif kind == "contentBlockDelta":
                self._add_delta(index, payload.get("delta") or {})
            elif kind == "messageStop":
                self._metadata["finish_reason"] = payload.get("stopReason")
                self._fields.update(other_fields(payload, _ANSWER_FIELDS))
            elif kind == "metadata":
                self._metadata.update(_usage(payload.get("usage")))
                self._fields.update(other_fields(payload, _ANSWER_FIELDS))
            elif kind.endswith("Exception"):
                message = get_field(payload, "message")
                self._metadata["response_error"] = f"{kind}: {message}" if message else kind

    def _start(self, index: int, start: dict[str, Any]) -> None:
        if "toolUse" in start:
            self._blocks[index] = {"toolUse": {**start["toolUse"], "input": ""}}
        elif start:
            self._blocks[index] = dict(start)

    def _add_delta(self, index: int, delta: dict[str, Any]) -> None:
        if "text" in delta:
            block = self._blocks.setdefault(index, {"text": ""})
            block["text"] += delta["text"]
        elif "toolUse" in delta and "toolUse" in self._blocks.get(index, ()):
            self._blocks[index]["toolUse"]["input"] += delta["toolUse"].get("input", "")
        elif "reasoningContent" in delta:
            piece = delta["reasoningContent"]
            block = self._blocks.setdefault(index, {"reasoningContent": {}})
            redacted = piece.get("redactedContent")
            new = {"redactedContent": redacted} if redacted else {"reasoningText": piece}
            merge_delta(block["reasoningContent"], new)
        else:
            merge_delta(self._blocks.setdefault(index, {}), delta)

    def answer(self) -> Answer:
        """The message as far as it has come."""
        blocks = [_decoded(block) for _, block in sorted(self._blocks.items())]
        outputs = {"role": "assistant", **_content_fields(blocks), **self._fields}
        return Answer(outputs, self._metadata)


def _decoded(block: dict[str, Any]) -> dict[str, Any]:
    """A block with its tool's input as a whole answer has it; a text when it was broken off."""
    use = block.get("toolUse")
    if use is None or not isinstance(use.get("input"), str):
        return block
    try:
        return {"toolUse": {**use, "input": orjson.loads(use["input"] or "{}")}}
    except orjson.JSONDecodeError:
        return block
