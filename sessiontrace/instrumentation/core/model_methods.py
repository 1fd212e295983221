"""Methods of a client library that call a model, each call made one model event.

The wrappers run inside the calls, on their thread or task. Invariant: a method keeps its kind
(plain, async, generator, async generator), its signature, its results and its exceptions; only a
generator is replaced, by a generator.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from types import AsyncGeneratorType, GeneratorType
from typing import Any, NamedTuple

import orjson

from sessiontrace.capture.span import UNSET
from sessiontrace.instrumentation.core.method_patching import MethodPatcher
from sessiontrace.instrumentation.core.model_calls import (
    Answer,
    CallRecorder,
    ModelCall,
    open_call,
)
from sessiontrace.instrumentation.core.response_fields import plain, without_none
from sessiontrace.instrumentation.core.stream_observer import StreamAssembler, StreamObserver
from sessiontrace.runtime.signals import raise_if_from_signal

__all__ = [
    "MethodAdapter",
    "ModelCallArgs",
    "ModelMethods",
    "read_answer",
    "unread_answer",
    "wrap_call",
]


class ModelCallArgs(NamedTuple):
    """A model call as its arguments describe it.

    ``operation``: as OpenTelemetry's GenAI conventions name it ("chat", "embeddings").
    """

    operation: str
    model: Any
    inputs: dict[str, Any]
    config: dict[str, Any]


def _body_of_success(call: ModelCall, error: BaseException) -> str | bytes | None:
    """The body of an error that an SDK raises for an answer of status 200; else None."""
    body, status = getattr(error, "body", None), getattr(error, "status_code", None)
    return body if status == 200 and isinstance(body, (str, bytes)) else None


class MethodAdapter:
    """How the calls of a method are read.

    ``read_call(self, args, kwargs)`` gives None for a call that reaches no model; ``self`` is None
    for a function. ``read_result`` reads a whole answer. ``assembler`` creates the object that
    puts a streamed answer together. ``observe(result, observer)`` attaches to a stream object that
    the library made and returns False for any other result; generators need no ``observe``.
    ``unparsed_body(call, error)`` gives the body of an answer that the library could not parse;
    by default it is taken from the error.
    """

    __slots__ = ("assembler", "observe", "read_call", "read_result", "unparsed_body")

    def __init__(
        self,
        read_call: Callable[[Any, tuple[Any, ...], dict[str, Any]], ModelCallArgs | None],
        read_result: Callable[[Any], Answer],
        assembler: Callable[[], StreamAssembler] | None = None,
        observe: Callable[[Any, StreamObserver], bool] | None = None,
        unparsed_body: Callable[[ModelCall, BaseException], str | bytes | None] = _body_of_success,
    ) -> None:
        self.read_call: Callable[[Any, tuple[Any, ...], dict[str, Any]], ModelCallArgs | None] = (
            read_call
        )
        self.read_result: Callable[[Any], Answer] = read_result
        self.assembler: Callable[[], StreamAssembler] | None = assembler
        self.observe: Callable[[Any, StreamObserver], bool] | None = observe
        self.unparsed_body: Callable[[ModelCall, BaseException], str | bytes | None] = unparsed_body


class ModelMethods:
    """The methods of one library that call a model. ``provider``: who answers, by default."""

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._patcher = MethodPatcher()
        self._calls: CallRecorder | None = None

    def start(self, calls: CallRecorder) -> None:
        """Record to ``calls`` from now on."""
        self._calls = calls

    def patch(self, owner: Any, name: str, adapter: MethodAdapter) -> None:
        """Record the calls of ``owner.name``; a second call for the same method does nothing."""
        skip = 1 if isinstance(owner, type) else 0
        self._patcher.patch(owner, name, lambda original: self._wrap(original, adapter, skip))

    def stop(self) -> None:
        """Put the methods back; a wrapper that another tracer has wrapped passes calls through."""
        self._calls = None
        self._patcher.restore()

    def _wrap(self, original: Any, adapter: MethodAdapter, skip: int) -> Any:
        def begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> ModelCall | None:
            return self._begin(adapter, args, kwargs, skip)

        if inspect.isasyncgenfunction(original):
            return _wrap_async_generator(original, adapter, begin)
        if inspect.isgeneratorfunction(original):
            return _wrap_generator(original, adapter, begin)
        return wrap_call(
            original,
            is_async=inspect.iscoroutinefunction(original),
            begin=begin,
            finish=functools.partial(_finish, adapter),
            fail=functools.partial(_fail, adapter),
        )

    def _begin(
        self, adapter: MethodAdapter, args: tuple[Any, ...], kwargs: dict[str, Any], skip: int
    ) -> ModelCall | None:
        try:
            calls = self._calls
            if calls is None or calls.recorder() is None:
                return None
            call = adapter.read_call(args[0] if skip else None, args[skip:], kwargs)
            if call is None:
                return None
            config = {
                "type": call.operation,
                "model": call.model,
                "provider": self._provider,
                **call.config,
            }
            name = f"{call.operation} {call.model}"
            return calls.model(name, inputs=call.inputs, config=without_none(config))
        except Exception as fault:
            raise_if_from_signal(fault)
            return None


def wrap_call(
    original: Any,
    *,
    is_async: bool,
    begin: Callable[[tuple[Any, ...], dict[str, Any]], ModelCall | None],
    finish: Callable[[ModelCall, Any], Any],
    fail: Callable[[ModelCall, BaseException], None],
    other: Any = None,
) -> Any:
    """A wrapper of ``original`` that makes each call one model call.

    ``begin(args, kwargs)`` opens it, or returns None to pass the call through. ``finish(call,
    result)`` ends it, or attaches to a stream that will, and returns the result for the user.
    ``fail(call, error)`` ends it with an exception. None of the three may raise. ``other``:
    the function for the calls that are passed through, by default ``original``.
    """
    passed = original if other is None else other
    if is_async:

        @functools.wraps(original)
        async def async_method(*args: Any, **kwargs: Any) -> Any:
            call = begin(args, kwargs)
            if call is None:
                return await passed(*args, **kwargs)
            token = open_call.set(call)
            try:
                result = await original(*args, **kwargs)
            except BaseException as error:
                fail(call, error)
                raise
            finally:
                try:
                    open_call.reset(token)
                except ValueError:  # the coroutine was closed in another context
                    pass
            return finish(call, result)

        return async_method

    @functools.wraps(original)
    def method(*args: Any, **kwargs: Any) -> Any:
        call = begin(args, kwargs)
        if call is None:
            return passed(*args, **kwargs)
        token = open_call.set(call)
        try:
            result = original(*args, **kwargs)
        except BaseException as error:
            fail(call, error)
            raise
        finally:
            try:
                open_call.reset(token)
            except ValueError:
                pass
        return finish(call, result)

    return method


def _wrap_generator(original: Any, adapter: MethodAdapter, begin: Any) -> Any:
    @functools.wraps(original)
    def method(*args: Any, **kwargs: Any) -> Iterator[Any]:
        call = begin(args, kwargs)
        inner = original(*args, **kwargs)
        yield from inner if call is None else relay(inner, _observer(call, adapter))

    return method


def _wrap_async_generator(original: Any, adapter: MethodAdapter, begin: Any) -> Any:
    @functools.wraps(original)
    async def method(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        call = begin(args, kwargs)
        inner = original(*args, **kwargs)
        stream: Any = inner if call is None else relay_async(inner, _observer(call, adapter))
        try:
            async for chunk in stream:
                yield chunk
        finally:
            await stream.aclose()

    return method


def _finish(adapter: MethodAdapter, call: ModelCall, result: Any) -> Any:
    """End the call with its result, or give back the stream that will."""
    try:
        if isinstance(result, (GeneratorType, AsyncGeneratorType)):
            observer = _observer(call, adapter)
            is_async = isinstance(result, AsyncGeneratorType)
            relayed: Any = (relay_async if is_async else relay)(result, observer)
            observer.follow(relayed)
            return relayed
        if adapter.observe is not None:
            observer = _observer(call, adapter)
            if adapter.observe(result, observer):
                observer.follow(result)
                return result
        outputs, metadata = read_answer(adapter.read_result, result)
        call.end(outputs=outputs, metadata=metadata)
    except Exception as fault:
        call.end(metadata={"unread": type(fault).__name__})
        raise_if_from_signal(fault)
    return result


def read_answer(read: Callable[[Any], Answer], result: Any) -> Answer:
    """The answer that ``read`` gives; of a form that it does not know, all of it as ``body``."""
    try:
        return read(result)
    except Exception as fault:
        raise_if_from_signal(fault)
        return unread_answer(result, fault)


def unread_answer(result: Any, fault: Exception) -> Answer:
    """All of an answer in whose reading ``fault`` came up."""
    return Answer({"body": plain(result)}, {"unread": type(fault).__name__})


def _fail(adapter: MethodAdapter, call: ModelCall, error: BaseException) -> None:
    """Fail the call, with the answer where the library got one and could not parse it."""
    outputs: Any = UNSET
    metadata: dict[str, Any] = {}
    try:
        if body := adapter.unparsed_body(call, error):
            outputs, metadata = read_answer(adapter.read_result, _decoded(body))
        metadata = {**metadata, **_describe_error(error)}
    except Exception as fault:
        raise_if_from_signal(fault)
        metadata["unread"] = type(fault).__name__
    call.fail(error, outputs=outputs, metadata=metadata)


def _decoded(body: str | bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return body if isinstance(body, str) else body.decode(errors="replace")


def _observer(call: ModelCall, adapter: MethodAdapter) -> StreamObserver:
    assembler = None if adapter.assembler is None else adapter.assembler()
    return StreamObserver(call, assembler, {}, _describe_error)


def _describe_error(error: BaseException) -> dict[str, Any]:
    status = getattr(error, "status_code", None) or getattr(error, "code", None)
    if not isinstance(status, int):
        status = getattr(getattr(error, "response", None), "status_code", None)
    return {"http_status": status} if isinstance(status, int) else {}


def relay(inner: Any, observer: StreamObserver) -> Iterator[Any]:
    """The chunks of the generator ``inner``, observed; closes it when it is closed itself."""
    try:
        for chunk in inner:
            observer.chunk(chunk)
            yield chunk
    except BaseException as error:
        _break_off(observer, error)
        raise
    else:
        observer.end("exhausted")
    finally:
        inner.close()


async def relay_async(inner: Any, observer: StreamObserver) -> AsyncIterator[Any]:
    """``relay`` for an async generator."""
    try:
        async for chunk in inner:
            observer.chunk(chunk)
            yield chunk
    except BaseException as error:
        _break_off(observer, error)
        raise
    else:
        observer.end("exhausted")
    finally:
        await inner.aclose()


def _break_off(observer: StreamObserver, error: BaseException) -> None:
    if isinstance(error, GeneratorExit):
        observer.end("closed")
    else:
        observer.end("failed", error)
