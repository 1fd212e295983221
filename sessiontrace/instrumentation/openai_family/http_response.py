"""One HTTP exchange of a Stainless SDK: what came back, in whichever form the user asked for it.

Runs on the thread of the call, later on that of whoever reads a stream. Invariants: a body that has
not been read is never read by us, and the user gets the object the SDK made.
"""

from __future__ import annotations

import inspect
from typing import Any

import orjson

from sessiontrace.instrumentation.core.model_calls import ModelCall
from sessiontrace.instrumentation.core.response_fields import get_field, without_none
from sessiontrace.instrumentation.core.stream_observer import (
    StreamAssembler,
    StreamObserver,
    watched,
)
from sessiontrace.instrumentation.core.stream_proxy import watch_response, watch_stream
from sessiontrace.instrumentation.openai_family.endpoints import Route

__all__ = ["SdkHttpResponse", "describe"]

_KEY = "_sessiontrace_reading"


class SdkHttpResponse:
    """The ``subject`` of a call: ``options`` tells it from others, ``status`` comes on the way."""

    __slots__ = ("options", "retries", "route", "status")

    def __init__(self, route: Route, options: Any) -> None:
        self.route = route
        self.options = options
        self.status: int | None = None
        self.retries = 0

    def note(self, response: Any, retries: Any) -> None:
        """The HTTP response that the SDK accepted, before it parses it."""
        self.status = getattr(response, "status_code", None)
        self.retries = retries or 0

    def metadata(self, request_id: Any) -> dict[str, Any]:
        """What the exchange itself adds to an event."""
        found: dict[str, Any] = {}
        if self.status is not None:
            found["http_status"] = self.status
        if request_id is not None:
            found["request_id"] = request_id
        if self.retries:
            found["retries"] = self.retries
        return found

    def close(self, call: ModelCall, result: Any, streams: tuple[type, ...]) -> None:
        """End ``call`` with what the SDK returned, or see to it that its reading will."""
        held = getattr(result, "__dict__", ())  # hasattr on a model costs microseconds
        if isinstance(result, streams):
            self._watch_stream(call, result)
        elif "http_response" in held:
            self._take_raw(call, result)
        elif "status_code" in held and hasattr(result, "headers"):
            self._take_response(call, result)
        else:
            outputs, metadata = self.route.answer(result)
            metadata.update(self.metadata(get_field(result, "_request_id")))
            call.end(outputs=outputs, metadata=metadata)

    def gather(self) -> StreamAssembler | None:
        """What puts a stream of this route together."""
        return None if self.route.gather is None else self.route.gather()

    def _watch_stream(self, call: ModelCall, stream: Any) -> None:
        response = stream.response
        extra = self.metadata(_request_id(response))
        reading = StreamObserver(call, self.gather(), extra, describe)
        watch_stream(stream, reading)
        watch_response(response, reading)

    def _take_response(self, call: ModelCall, response: Any) -> None:
        """The HTTP response itself, which ``cast_to=httpx.Response`` asks for."""
        extra = self.metadata(_request_id(response))
        content = _content(response)
        if content is None:
            reading = StreamObserver(call, None, extra, describe)
            reading.follow(response)
            watch_response(response, reading)
        else:
            outputs, metadata = self.route.answer(orjson.loads(content))
            call.end(outputs=outputs, metadata={**extra, **metadata})

    def _take_raw(self, call: ModelCall, raw: Any) -> None:
        """``with_raw_response`` or ``with_streaming_response``."""
        response = raw.http_response
        if _content(response) is not None:
            self._take_response(call, response)
            return
        reading = _RawReading(call, self, self.metadata(_request_id(response)))
        reading.follow(raw)
        watch_response(response, reading)
        raw.__class__ = _opening_class(type(raw))
        raw.__dict__[_KEY] = reading


class _RawReading(StreamObserver):
    """The reading of a response whose body the user has still to ask for."""

    __slots__ = ("_exchange", "_pieces")

    def __init__(self, call: ModelCall, exchange: SdkHttpResponse, extra: dict[str, Any]) -> None:
        super().__init__(call, None, extra, describe)
        self._exchange = exchange

    def opened(self, raw: Any, result: Any) -> Any:
        """``parse``, ``read`` and their like have given ``result``."""
        if hasattr(result, "_iterator") and hasattr(result, "response"):
            if self.gather is not None:
                return result  # parsed before: the same stream
            self.gather = self._exchange.gather()
            watch_stream(result, self)
            watch_response(result.response, self)
            return result
        content = _content(raw.http_response)
        if content is not None:
            self.gather = _BodyGather(self._exchange, [content])
        self.end("exhausted")
        return result

    def piecewise(self, pieces: Any) -> Any:
        """``iter_bytes`` and their like: the body goes by in pieces."""
        self.gather = _BodyGather(self._exchange, [])
        return watched(pieces, self)


class _BodyGather:
    """A body from its pieces: bytes, texts, or lines without their ends."""

    __slots__ = ("_exchange", "_pieces", "_size")

    def __init__(self, exchange: SdkHttpResponse, pieces: list[Any]) -> None:
        self._exchange = exchange
        self._pieces = pieces
        self._size = 0

    def add(self, piece: Any) -> None:
        """A piece, as long as the whole stays of a size that would be recorded anyway."""
        self._size += len(piece)
        if self._size < 1_000_000:
            self._pieces.append(piece.encode() + b"\n" if isinstance(piece, str) else piece)

    def answer(self) -> Any:
        """The body read as JSON, or as server-sent events."""
        body = b"".join(self._pieces)
        gather = self._exchange.gather()
        if gather is None or body.lstrip()[:1] == b"{":
            return self._exchange.route.answer(orjson.loads(body))
        for line in body.splitlines():
            if line.startswith(b"data:") and line[5:].strip() != b"[DONE]":
                gather.add(orjson.loads(line[5:]))
        return gather.answer()


def describe(error: BaseException) -> dict[str, Any]:
    """What a Stainless SDK's exception tells beyond its message."""
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
    """The body, if it has been read."""
    try:
        content: bytes = response.content
    except Exception:  # httpx has an exception for just this, in whichever package it lives
        return None
    return content


_opening_classes: dict[type, type] = {}


def _opening_class(kind: type) -> type:
    """``kind`` with the ways to its body watched."""
    known = _opening_classes.get(kind)
    if known is not None:
        return known
    body: dict[str, Any] = {
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
        "__doc__": kind.__doc__,
    }
    for name in ("parse", "read", "text", "json"):
        if inspect.isfunction(getattr(kind, name, None)):
            body[name] = _opening(kind, name)
    for name in ("iter_bytes", "iter_text", "iter_lines"):
        if inspect.isfunction(getattr(kind, name, None)):
            body[name] = _piecewise(kind, name)
    made = _opening_classes[kind] = type(kind.__name__, (kind,), body)
    return made


def _opening(kind: type, name: str) -> Any:
    original = getattr(kind, name)

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        reading = self.__dict__.get(_KEY)
        if reading is None or reading.call.ended or reading.busy:
            return original(self, *args, **kwargs)
        if inspect.iscoroutinefunction(original):
            return _open_later(self, original(self, *args, **kwargs), reading)
        reading.busy = True
        try:
            result = original(self, *args, **kwargs)
        except BaseException as error:
            reading.end("failed", error)
            raise
        finally:
            reading.busy = False
        return _opened(self, result, reading)

    return method


async def _open_later(raw: Any, coming: Any, reading: _RawReading) -> Any:
    reading.busy = True
    try:
        result = await coming
    except BaseException as error:
        reading.end("failed", error)
        raise
    finally:
        reading.busy = False
    return _opened(raw, result, reading)


def _opened(raw: Any, result: Any, reading: _RawReading) -> Any:
    try:
        reading.opened(raw, result)
    except Exception:
        reading.end("closed")
    return result


def _piecewise(kind: type, name: str) -> Any:
    original = getattr(kind, name)

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        pieces = original(self, *args, **kwargs)
        reading = self.__dict__.get(_KEY)
        if reading is None or reading.call.ended or reading.busy or reading.gather is not None:
            return pieces
        return reading.piecewise(pieces)

    return method
