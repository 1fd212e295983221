"""Standing in for methods of other libraries: plain, async, generators and async generators.

Runs inside the calls, on their thread or task. Invariant: a method keeps its kind, its signature,
its results and its exceptions; only a generator is replaced, by a generator.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from types import AsyncGeneratorType, GeneratorType
from typing import Any, NamedTuple

from sessiontrace.instrumentation.core.model_calls import Answer, CallRecorder, ModelCall
from sessiontrace.instrumentation.core.response_fields import without_none
from sessiontrace.instrumentation.core.stream_observer import StreamAssembler, StreamObserver

__all__ = ["MethodAdapter", "MethodPatcher", "ModelCallArgs"]


class ModelCallArgs(NamedTuple):
    """A model call as its arguments tell it. ``operation`` as OpenTelemetry names it."""

    operation: str
    model: Any
    inputs: dict[str, Any]
    config: dict[str, Any]


class MethodAdapter(NamedTuple):
    """How a method is read. ``ask`` gives None for a call that is none of a model.

    ``watch(result, reading)`` attaches to a stream object of the library's own and says whether it
    was one; generators are seen to without it.
    """

    ask: Callable[[Any, tuple[Any, ...], dict[str, Any]], ModelCallArgs | None]
    answer: Callable[[Any], Answer]
    gather: Callable[[], StreamAssembler] | None = None
    watch: Callable[[Any, StreamObserver], bool] | None = None


class MethodPatcher:
    """The methods of one library that are stood in for."""

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._patched: list[tuple[Any, str, Any]] = []
        self._calls: CallRecorder | None = None

    def start(self, calls: CallRecorder) -> None:
        """Record to ``calls`` from now on."""
        self._calls = calls

    def wrap(self, owner: Any, name: str, way: MethodAdapter) -> None:
        """Stand in for ``owner.name``; nothing happens when we do already."""
        original = owner.__dict__[name]
        if getattr(original, "_sessiontrace", None) is self:
            return
        ours = self._made(original, way, 1 if isinstance(owner, type) else 0)
        ours._sessiontrace = self
        setattr(owner, name, ours)
        self._patched.append((owner, name, ours))

    def stop(self) -> None:
        """Put back what is still ours; what someone else wrapped meanwhile passes through."""
        self._calls = None
        for owner, name, ours in self._patched:
            if owner.__dict__.get(name) is ours:
                setattr(owner, name, ours.__wrapped__)
        self._patched.clear()

    def _made(self, original: Any, way: MethodAdapter, skip: int) -> Any:
        if inspect.isasyncgenfunction(original):
            return self._async_generator(original, way, skip)
        if inspect.isgeneratorfunction(original):
            return self._generator(original, way, skip)
        if inspect.iscoroutinefunction(original):
            return self._coroutine(original, way, skip)
        return self._function(original, way, skip)

    def _function(self, original: Any, way: MethodAdapter, skip: int) -> Any:
        @functools.wraps(original)
        def method(*args: Any, **kwargs: Any) -> Any:
            call = self._open(way, args, kwargs, skip)
            if call is None:
                return original(*args, **kwargs)
            try:
                with call:
                    result = original(*args, **kwargs)
            except BaseException as error:
                call.fail(error, metadata=_described(error))
                raise
            return _close(call, way, result)

        return method

    def _coroutine(self, original: Any, way: MethodAdapter, skip: int) -> Any:
        @functools.wraps(original)
        async def method(*args: Any, **kwargs: Any) -> Any:
            call = self._open(way, args, kwargs, skip)
            if call is None:
                return await original(*args, **kwargs)
            try:
                with call:
                    result = await original(*args, **kwargs)
            except BaseException as error:
                call.fail(error, metadata=_described(error))
                raise
            return _close(call, way, result)

        return method

    def _generator(self, original: Any, way: MethodAdapter, skip: int) -> Any:
        @functools.wraps(original)
        def method(*args: Any, **kwargs: Any) -> Iterator[Any]:
            call = self._open(way, args, kwargs, skip)
            inner = original(*args, **kwargs)
            yield from inner if call is None else relay(inner, _reading(call, way))

        return method

    def _async_generator(self, original: Any, way: MethodAdapter, skip: int) -> Any:
        @functools.wraps(original)
        async def method(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            call = self._open(way, args, kwargs, skip)
            inner = original(*args, **kwargs)
            stream: Any = inner if call is None else relay_async(inner, _reading(call, way))
            try:
                async for chunk in stream:
                    yield chunk
            finally:
                await stream.aclose()

        return method

    def _open(
        self, way: MethodAdapter, args: tuple[Any, ...], kwargs: dict[str, Any], skip: int
    ) -> ModelCall | None:
        try:
            calls = self._calls
            if calls is None or calls.recorder() is None:
                return None
            asked = way.ask(args[0] if skip else None, args[skip:], kwargs)
            if asked is None:
                return None
            config = {
                "type": asked.operation,
                "model": asked.model,
                "provider": self._provider,
                **asked.config,
            }
            name = f"{asked.operation} {asked.model}"
            return calls.model(name, inputs=asked.inputs, config=without_none(config))
        except Exception:
            return None


def _close(call: ModelCall, way: MethodAdapter, result: Any) -> Any:
    """End the call with its result, or give back the stream that will."""
    try:
        if isinstance(result, (GeneratorType, AsyncGeneratorType)):
            reading = _reading(call, way)
            make: Any = relay_async if isinstance(result, AsyncGeneratorType) else relay
            relayed = make(result, reading)
            reading.follow(relayed)
            return relayed
        if way.watch is not None and way.watch(result, reading := _reading(call, way)):
            reading.follow(result)
            return result
        outputs, metadata = way.answer(result)
        call.end(outputs=outputs, metadata=metadata)
    except Exception as fault:  # an answer of a form nobody told us of
        call.end(metadata={"unread": type(fault).__name__})
    return result


def _reading(call: ModelCall, way: MethodAdapter) -> StreamObserver:
    return StreamObserver(call, None if way.gather is None else way.gather(), {}, _described)


def _described(error: BaseException) -> dict[str, Any]:
    status = getattr(error, "status_code", None) or getattr(error, "code", None)
    return {"http_status": status} if isinstance(status, int) else {}


def _broken(reading: StreamObserver, error: BaseException) -> None:
    if isinstance(error, GeneratorExit):
        reading.end("closed")
    else:
        reading.end("failed", error)


def relay(inner: Any, reading: StreamObserver) -> Iterator[Any]:
    """``inner`` again, chunk by chunk; closed with it."""
    try:
        for chunk in inner:
            reading.chunk(chunk)
            yield chunk
    except BaseException as error:
        _broken(reading, error)
        raise
    else:
        reading.end("exhausted")
    finally:
        inner.close()


async def relay_async(inner: Any, reading: StreamObserver) -> AsyncIterator[Any]:
    """``relay`` for an async generator."""
    try:
        async for chunk in inner:
            reading.chunk(chunk)
            yield chunk
    except BaseException as error:
        _broken(reading, error)
        raise
    else:
        reading.end("exhausted")
    finally:
        await inner.aclose()
