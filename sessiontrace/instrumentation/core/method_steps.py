"""Methods of a framework whose calls are steps, whatever kind of method each is.

    a method                                its span
    --------------------------------------  ----------------------------------------------------
    is plain                                is current while it works
    is a coroutine function                 is current while it works
    gives an iterator, awaitable or         opens where that is first read or awaited, and is
    asynchronous iterator                   current inside of it only

Runs on the thread of the call. Invariant: what the call gives or raises stays as it was, and a
fault of ours is not the program's.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any

from sessiontrace.capture.handle import NEW
from sessiontrace.capture.span import Span
from sessiontrace.instrumentation.core.method_patching import MethodPatcher
from sessiontrace.instrumentation.core.model_calls import CallRecorder
from sessiontrace.instrumentation.core.never_raises import never_raises
from sessiontrace.instrumentation.core.placement import innermost
from sessiontrace.instrumentation.core.reporters import reporters
from sessiontrace.instrumentation.core.streamed_runs import Inside, async_steps, steps

__all__ = ["MethodSteps", "Run"]

Arguments = tuple[Any, ...]


class Run:
    """One call that is recorded, and how what it gives is read.

    ``span``: has not ended. ``goes_on``: it does not end with the call either, because what the
    call gave is read later.
    """

    def __init__(self, span: Span) -> None:
        self.span: Span = span
        self.goes_on: bool = False

    def finish(self, result: Any) -> None:
        """The call has given a result."""

    def see(self, item: Any) -> None:
        """The call's iterator has given an item; after the last one the span may end here."""

    def close(self) -> None:
        """The iterator has ended, by itself, by a failure or by its reader; or the call failed."""


Open = Callable[[CallRecorder, Arguments, dict[str, Any]], Run | None]


class MethodSteps:
    """The wrapped methods of one framework. ``name``: as spans of OpenTelemetry name it."""

    def __init__(self, name: str) -> None:
        self.calls: CallRecorder | None = None
        self._name = name
        self._patcher = MethodPatcher()
        self._control_flow: tuple[type[BaseException], ...] = ()

    def start(self, calls: CallRecorder, *control_flow: type[BaseException]) -> None:
        """Record from now on. ``control_flow``: exceptions that are no errors."""
        self.calls = calls
        self._control_flow = (*self._control_flow, *control_flow)
        reporters[self._name] = lambda: True

    def stop(self) -> None:
        """Put the methods back."""
        self.calls = None
        self._patcher.restore()
        reporters.pop(self._name, None)

    def patch(self, owner: Any, name: str, open: Open, *, is_lazy: bool = False) -> None:
        """Make each call of ``owner.name`` a step; KeyError where ``owner`` does not define it.

        ``open(calls, arguments, options)``: the run of a call, or None where it has none; the
        object is the first of the arguments. ``is_lazy``: the method does nothing before its result
        is awaited or read.
        """
        wrap = functools.partial(self._wrap, open=open, is_lazy=is_lazy)
        self._patcher.patch(owner, name, wrap)

    def _wrap(self, original: Any, open: Open, is_lazy: bool) -> Any:
        if inspect.iscoroutinefunction(original):

            @functools.wraps(original)
            async def awaited(*args: Any, **options: Any) -> Any:
                run = self._run(open, args, options)
                result = original(*args, **options)
                return await (result if run is None else self._await(result, run))

            return awaited
        is_lazy = is_lazy or inspect.isgeneratorfunction(original)

        @functools.wraps(original)
        def called(*args: Any, **options: Any) -> Any:
            run = self._run(open, args, options)
            if run is None:
                return original(*args, **options)
            make = functools.partial(original, *args, **options)
            if inspect.isasyncgenfunction(original):
                return self._read_async(make, run)
            return self.read_later(make(), run) if is_lazy else self._call(make, run)

        return called

    @never_raises(None)
    def _run(self, open: Open, args: Arguments, options: dict[str, Any]) -> Run | None:
        calls = self.calls
        recorder = None if calls is None else calls.recorder()
        return None if calls is None or recorder is None else open(calls, args, options)

    def _call(self, make: Callable[[], Any], run: Run) -> Any:
        span = _opened(run)
        try:
            with Inside(span.recorder.current, span):
                result = make()
        except BaseException as failure:
            _close(run)
            self._fail(span, failure)
            raise
        if _is_read_later(result):
            return self.read_later(result, run)
        _finish(run, result)
        return result

    def read_later(self, result: Any, run: Run) -> Any:
        """An iterator, awaitable or asynchronous iterator that ends the run's span when it ends."""
        if hasattr(result, "__anext__"):
            return self._read_async(lambda: result, run)
        if hasattr(result, "__next__"):
            return self._read(result, run)
        return self._await(result, run) if inspect.isawaitable(result) else result

    async def _await(self, result: Any, run: Run) -> Any:
        span = _opened(run)
        try:
            with Inside(span.recorder.current, span):
                result = await result
        except BaseException as failure:
            _close(run)
            self._fail(span, failure)
            raise
        if _is_read_later(result):
            return self.read_later(result, run)
        _finish(run, result)
        return result

    def _read(self, source: Any, run: Run) -> Iterator[Any]:
        span = _opened(run)
        try:
            for item in steps(source, span.recorder.current, span):
                _see(run, item)
                yield item
        except BaseException as failure:
            _close(run)
            self._fail(span, failure)
            raise
        _close(run)
        span.end()

    async def _read_async(self, make: Callable[[], Any], run: Run) -> AsyncGenerator[Any, None]:
        span = _opened(run)
        items = async_steps(make, span.recorder.current, span)
        try:
            try:
                async for item in items:
                    _see(run, item)
                    yield item
            finally:
                await items.aclose()
        except BaseException as failure:
            _close(run)
            self._fail(span, failure)
            raise
        _close(run)
        span.end()

    @never_raises(None)
    def _fail(self, span: Span, failure: BaseException) -> None:
        """End the span of a call that raised; a reader that stops is not a failure."""
        if isinstance(failure, GeneratorExit):
            span.set(metadata={"stream_end": "closed"})
        elif isinstance(failure, self._control_flow):
            span.set(metadata={"control_flow": type(failure).__name__})
        else:
            span.__exit__(type(failure), failure, failure.__traceback__)
        span.end()


def _opened(run: Run) -> Span:
    """The span, open: below the innermost one, unless it was opened below another."""
    span = run.span
    if span.state == NEW:
        span.open(innermost(span.recorder))
    return span


def _is_read_later(result: Any) -> bool:
    return (
        hasattr(result, "__anext__") or hasattr(result, "__next__") or inspect.iscoroutine(result)
    )


@never_raises(None)
def _finish(run: Run, result: Any) -> None:
    try:
        run.finish(result)
    finally:
        if not run.goes_on:
            run.span.end()


@never_raises(None)
def _see(run: Run, item: Any) -> None:
    run.see(item)


@never_raises(None)
def _close(run: Run) -> None:
    run.close()
