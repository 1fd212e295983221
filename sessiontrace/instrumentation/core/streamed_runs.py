"""Runs that a program reads step by step: what is current inside of a run stays inside.

A generator runs in the context of its reader. A span that the run makes current, ours or
OpenTelemetry's, would be around what the reader does between two steps, and around the steps of
another run that the same reader reads in turn. Runs in the reader's context. Invariant: between two
steps the reader's own spans are current, and inside each step those that the run had left.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Callable, Iterator
from contextvars import ContextVar
from typing import Any

from sessiontrace.capture.handle import Handle
from sessiontrace.capture.span import Span
from sessiontrace.instrumentation.core.never_raises import never_raises
from sessiontrace.instrumentation.core.placement import innermost

__all__ = ["Inside", "async_steps", "run", "steps"]

Current = ContextVar[Any]
OnStep = Callable[[Span, Any], None]


class Inside:
    """Makes current, for a block, what the last block has left current."""

    def __init__(self, current: Current, span: Handle | None) -> None:
        self._current = current
        self._span = span
        self._otel: Any = None
        self._outside: tuple[Any, Any, Any] = (None, None, None)

    def __enter__(self) -> None:
        otel = sys.modules.get("opentelemetry.context")
        outer = self._current.get()
        self._outside = (outer, otel, None if otel is None else otel.get_current())
        if self._span is not None:
            self._current.set(self._span)
        if otel is not None and self._otel is not None:
            otel.attach(self._otel)

    def __exit__(self, *exc_info: object) -> None:
        outer, otel, context = self._outside
        self._span = self._current.get()
        self._current.set(outer)
        if otel is not None:
            self._otel = otel.get_current()
            otel.attach(context)


def steps(source: Any, current: Current, span: Handle | None = None) -> Iterator[Any]:
    """The steps of a generator; ``span`` is current inside of the first."""
    inside = Inside(current, span)
    try:
        while True:
            with inside:
                try:
                    step = next(source)
                except StopIteration:
                    return
            yield step
    finally:
        if hasattr(source, "close"):
            with inside:
                source.close()


async def async_steps(
    make: Callable[[], Any], current: Current, span: Handle | None = None
) -> AsyncGenerator[Any, None]:
    """The steps of an async generator; ``span`` is current inside of the first.

    ``make`` makes the generator, *after* the one around it: the garbage collector ends nested
    generators in the order of their creation, and one that is not the outermost fails to end.
    """
    inside = Inside(current, span)
    source = make()
    try:
        while True:
            with inside:
                try:
                    step = await source.__anext__()
                except StopAsyncIteration:
                    return
            yield step
    finally:
        if hasattr(source, "aclose"):
            with inside:
                await source.aclose()


def run(source: Any, span: Span, on_step: OnStep) -> Iterator[Any]:
    """The steps of a run whose ``span`` opens with the first and ends with the last."""
    recorder = span.recorder
    span.open(innermost(recorder))
    try:
        for step in steps(source, recorder.current, span):
            _observe(on_step, span, step)
            yield step
    except BaseException as failure:
        _end(span, failure)
        raise
    _end(span, None)


@never_raises(None)
def _observe(on_step: OnStep, span: Span, step: Any) -> None:
    on_step(span, step)


@never_raises(None)
def _end(span: Span, failure: BaseException | None) -> None:
    """End the span; a reader that stops is not a failure."""
    if isinstance(failure, GeneratorExit):
        span.set(metadata={"stream_end": "closed"})
    if failure is None or isinstance(failure, GeneratorExit):
        span.end()
    else:
        span.__exit__(type(failure), failure, failure.__traceback__)
