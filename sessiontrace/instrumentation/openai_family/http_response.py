"""The HTTP response to one call of a Stainless SDK, in each form that a user can ask for.

Runs on the thread of the call, later on the thread that reads a stream. Invariants: this module
never reads a body that the user has not read, and the user gets the object the SDK made.
"""

from __future__ import annotations

import inspect
from typing import Any

import orjson

from sessiontrace.instrumentation.core.model_calls import ModelCall
from sessiontrace.instrumentation.core.model_methods import read_answer, unread_answer
from sessiontrace.instrumentation.core.response_fields import get_field, without_none
from sessiontrace.instrumentation.core.stream_observer import (
    StreamAssembler,
    StreamObserver,
    observed,
)
from sessiontrace.instrumentation.core.stream_proxy import watch_response, watch_stream
from sessiontrace.instrumentation.openai_family.endpoints import Endpoint
from sessiontrace.runtime.signals import raise_if_from_signal

_KEY = "_sessiontrace_observer"
_PARSED = ("application/json", "text/event-stream")


class SdkHttpResponse:
    """The ``subject`` of a call, recognised by the SDK's request ``options``.

    ``host``: who is asked. ``status`` and ``retries`` are filled in when the SDK has its response.
    """

    __slots__ = ("endpoint", "host", "options", "retries", "status")

    def __init__(self, endpoint: Endpoint, options: Any, host: str = "") -> None:
        self.endpoint: Endpoint = endpoint
        self.options: Any = options
        self.host: str = host
        self.status: int | None = None
        self.retries: Any = 0

    def note(self, response: Any, retries: Any) -> None:
        """Take the status of the response that the SDK is about to parse."""
        self.status = getattr(response, "status_code", None)
        if retries:
            self.retries = retries

    def metadata(self, request_id: Any) -> dict[str, Any]:
        """The metadata that the HTTP exchange adds to an event."""
        return self.add_to({}, request_id)

    def add_to(self, metadata: dict[str, Any], request_id: Any) -> dict[str, Any]:
        """``metadata`` with what the HTTP exchange adds."""
        if self.status is not None:
            metadata["http_status"] = self.status
        if self.host:
            metadata["server_address"] = self.host
        if request_id is not None:
            metadata["request_id"] = request_id
        if self.retries:
            metadata["retries"] = self.retries
        return metadata

    def close(self, call: ModelCall, result: Any, streams: tuple[type, ...]) -> None:
        """End ``call`` with what the SDK returned, or leave that to the observer of its stream."""
        attributes = getattr(result, "__dict__", ())  # hasattr on a model costs microseconds
        if isinstance(result, streams):
            self._watch_stream(call, result)
        elif "http_response" in attributes:
            self._end_with_raw(call, result)
        elif "status_code" in attributes and hasattr(result, "headers"):
            self._end_with_http(call, result)
        else:
            try:
                outputs, metadata = self.endpoint.answer(result)
            except Exception as fault:
                raise_if_from_signal(fault)
                outputs, metadata = unread_answer(result, fault)
            self.add_to(metadata, get_field(result, "_request_id"))
            call.end(outputs=outputs, metadata=metadata)

    def assembler(self) -> StreamAssembler | None:
        """A new assembler for a stream of this endpoint; None where it does not stream."""
        return None if self.endpoint.assembler is None else self.endpoint.assembler()

    def body(self, response: Any, pieces: list[bytes]) -> StreamAssembler:
        """The object that reads the body of ``response``, given the ``pieces`` that are there."""
        media_type = response.headers.get("content-type") or ""
        if self.endpoint.body is None:
            return _BodyAssembler(self, pieces, media_type)
        assembler = self.endpoint.body(media_type)
        for piece in pieces:
            assembler.add(piece)
        return assembler

    def _watch_stream(self, call: ModelCall, stream: Any) -> None:
        response = stream.response
        extra = self.metadata(_request_id(response))
        observer = StreamObserver(call, self.assembler(), extra, describe)
        watch_stream(stream, observer)
        watch_response(response, observer)

    def _end_with_http(self, call: ModelCall, response: Any) -> None:
        """End with the HTTP response itself, which ``cast_to=httpx.Response`` asks for."""
        extra = self.metadata(_request_id(response))
        content = _content(response)
        if content is None:
            observer = StreamObserver(call, None, extra, describe)
            observer.follow(response)
            watch_response(response, observer)
        else:
            outputs, metadata = self.body(response, [content]).answer()
            call.end(outputs=outputs, metadata={**extra, **metadata})

    def _end_with_raw(self, call: ModelCall, raw: Any) -> None:
        """End with what ``with_raw_response`` or ``with_streaming_response`` returns."""
        response = raw.http_response
        if _content(response) is not None:
            self._end_with_http(call, response)
            return
        observer = _RawResponseObserver(call, self, self.metadata(_request_id(response)))
        observer.follow(raw)
        watch_response(response, observer)
        raw.__class__ = _opening_class(type(raw))
        raw.__dict__[_KEY] = observer


class _RawResponseObserver(StreamObserver):
    """The observer of a response whose body the user has yet to ask for."""

    __slots__ = ("_response",)

    def __init__(self, call: ModelCall, response: SdkHttpResponse, extra: dict[str, Any]) -> None:
        super().__init__(call, None, extra, describe)
        self._response = response

    def opened(self, raw: Any, result: Any) -> Any:
        """Take ``result``, which ``parse``, ``read`` or a method like them gives the user."""
        if hasattr(result, "_iterator") and hasattr(result, "response"):
            if self.assembler is not None:
                return result  # the same stream as at the first ``parse``
            self.assembler = self._response.assembler()
            watch_stream(result, self)
            watch_response(result.response, self)
            return result
        content = _content(raw.http_response)
        if content is not None:
            self.assembler = self._response.body(raw.http_response, [content])
        self.end("exhausted")
        return result

    def piecewise(self, raw: Any, pieces: Any) -> Any:
        """Observe the pieces of the body that ``iter_bytes`` or a method like it gives the user."""
        self.assembler = self._response.body(raw.http_response, [])
        return observed(pieces, self)


class _BodyAssembler:
    """A body from its pieces: bytes, texts, or lines without their line ends."""

    __slots__ = ("_media_type", "_pieces", "_response", "_size")

    def __init__(self, response: SdkHttpResponse, pieces: list[Any], media_type: str) -> None:
        self._response = response
        self._pieces = pieces
        self._media_type = media_type
        self._size = 0

    def add(self, piece: Any) -> None:
        """Keep a piece, unless the body is larger than an event may be."""
        self._size += len(piece)
        if self._size < 1_000_000:
            self._pieces.append(piece.encode() + b"\n" if isinstance(piece, str) else piece)

    def answer(self) -> Any:
        """The body read as JSON, as server-sent events, or as the text that it is."""
        body = b"".join(self._pieces)
        endpoint = self._response.endpoint
        if endpoint.plain_text and not self._media_type.startswith(_PARSED):
            return read_answer(endpoint.answer, body.decode())
        assembler = self._response.assembler()
        if assembler is None or body.lstrip()[:1] == b"{":
            return read_answer(endpoint.answer, orjson.loads(body))
        for line in body.splitlines():
            if line.startswith(b"data:") and line[5:].strip() != b"[DONE]":
                assembler.add(orjson.loads(line[5:]))
        return assembler.answer()


def describe(error: BaseException) -> dict[str, Any]:
    """The metadata that a Stainless SDK's exception has beyond its message."""
    kind = get_field(error, "code") or get_field(error, "type")
    return without_none(
        {
            "http_status": getattr(error, "status_code", None),
            "request_id": getattr(error, "request_id", None),
            "error_code": kind if isinstance(kind, str) else None,
        }
    )


def _request_id(response: Any) -> Any:
    headers = response.headers
    return headers.get("x-request-id") or headers.get("request-id")


def _content(response: Any) -> bytes | None:
    """The body, if the user or the SDK has read it."""
    try:
        content: bytes = response.content
    except Exception as fault:  # httpx.ResponseNotRead, which this module cannot import
        raise_if_from_signal(fault)
        return None
    return content


_opening_classes: dict[type, type] = {}


def _opening_class(base: type) -> type:
    """``base`` with the methods observed that give the user the body."""
    existing = _opening_classes.get(base)
    if existing is not None:
        return existing
    body: dict[str, Any] = {
        "__module__": base.__module__,
        "__qualname__": base.__qualname__,
        "__doc__": base.__doc__,
    }
    for name in ("parse", "read", "text", "json"):
        if inspect.isfunction(getattr(base, name, None)):
            body[name] = _opening(base, name)
    for name in ("iter_bytes", "iter_text", "iter_lines"):
        if inspect.isfunction(getattr(base, name, None)):
            body[name] = _piecewise(base, name)
    observed_class = _opening_classes[base] = type(base.__name__, (base,), body)
    return observed_class


def _opening(base: type, name: str) -> Any:
    original = getattr(base, name)

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        observer = self.__dict__.get(_KEY)
        if observer is None or observer.call.ended or observer.busy:
            return original(self, *args, **kwargs)
        if inspect.iscoroutinefunction(original):
            return _open_async(self, original(self, *args, **kwargs), observer)
        observer.busy = True
        try:
            result = original(self, *args, **kwargs)
        except BaseException as error:
            observer.end("failed", error)
            raise
        finally:
            observer.busy = False
        return _opened(self, result, observer)

    return method


async def _open_async(raw: Any, result_to_come: Any, observer: _RawResponseObserver) -> Any:
    observer.busy = True
    try:
        result = await result_to_come
    except BaseException as error:
        observer.end("failed", error)
        raise
    finally:
        observer.busy = False
    return _opened(raw, result, observer)


def _opened(raw: Any, result: Any, observer: _RawResponseObserver) -> Any:
    try:
        observer.opened(raw, result)
    except Exception as fault:
        observer.end("closed")
        raise_if_from_signal(fault)
    return result


def _piecewise(base: type, name: str) -> Any:
    original = getattr(base, name)

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        pieces = original(self, *args, **kwargs)
        observer = self.__dict__.get(_KEY)
        if observer is None or observer.call.ended or observer.busy or observer.assembler:
            return pieces
        return observer.piecewise(self, pieces)

    return method
