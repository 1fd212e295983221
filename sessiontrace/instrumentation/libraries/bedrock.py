"""Bedrock through boto3: Converse and InvokeModel, whole and streamed, at botocore's client.

Runs in the thread of the call. Invariant: only the user reads the body of a response.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import orjson

from sessiontrace.instrumentation.cloud_formats.converse import (
    ConverseAssembler,
    converse_answer,
    converse_request,
)
from sessiontrace.instrumentation.cloud_formats.invoke_model import (
    InvokeAssembler,
    invoke_answer,
    invoke_request,
    metrics_of_headers,
)
from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.core.model_calls import Answer, CallRecorder
from sessiontrace.instrumentation.core.model_methods import (
    MethodAdapter,
    ModelCallArgs,
    ModelMethods,
)
from sessiontrace.instrumentation.core.response_fields import without_none
from sessiontrace.instrumentation.core.stream_observer import StreamObserver
from sessiontrace.instrumentation.core.stream_proxy import watch_object


class Bedrock:
    """The instrumentor of botocore's clients, for the service bedrock-runtime only."""

    def __init__(self) -> None:
        self._methods = ModelMethods("aws.bedrock")

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Wrap the one method that every operation goes through."""
        self._methods.start(calls)
        adapter = MethodAdapter(_read_call, _read_result, ConverseAssembler, _observe)
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
        inputs, config = converse_request(params)
        return ModelCallArgs("chat", model, inputs, config)
    if operation in ("InvokeModel", "InvokeModelWithResponseStream"):
        inputs, config = invoke_request(params.get("body"))
        return ModelCallArgs("chat", model, inputs, config)
    return None


def _read_result(result: Any) -> Answer:
    outputs, metadata = converse_answer(result)
    return Answer(outputs, {**metadata, **_http(result)})


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
        http = result.get("ResponseMetadata") or {}
        metrics = metrics_of_headers(http.get("HTTPHeaders") or {})
        observer.assembler = _BodyAssembler(metrics)
        _watch_body(body, observer)
    else:
        observer.assembler = InvokeAssembler()
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


class _BodyAssembler:
    """The body of InvokeModel from the pieces that the user reads."""

    __slots__ = ("_metrics", "_pieces")

    def __init__(self, metrics: dict[str, Any]) -> None:
        self._metrics = metrics
        self._pieces: list[bytes] = []

    def add(self, chunk: Any) -> None:
        """Keep one piece."""
        self._pieces.append(chunk)

    def answer(self) -> Answer:
        """The body as far as it was read; a text when that is not all of it, or not JSON."""
        content = b"".join(self._pieces)
        try:
            body = orjson.loads(content)
        except orjson.JSONDecodeError:
            return Answer({"body": content.decode(errors="replace")}, {"stream_end": "cut"})
        return invoke_answer(body, self._metrics)
