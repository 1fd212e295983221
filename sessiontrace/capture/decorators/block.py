"""The block decorator: a function that runs inside a new handle at each call; in the user's thread.

``session(...)`` and ``suppress()`` as decorators use it. Invariant: the wrapper has the kind,
signature, result and exceptions of the bare function.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from sessiontrace.capture.decorators.function import WATCHED_GENERATORS, copy_identity, kind_of
from sessiontrace.capture.decorators.generators import follow
from sessiontrace.capture.handle import OPEN, SessionHandle
from sessiontrace.capture.streams.stream_span import StreamSpan

__all__ = ["traced_block"]

F = TypeVar("F", bound=Callable[..., Any])


def traced_block(new_handle: Callable[[], SessionHandle], fn: F) -> F:
    """``fn`` run inside a new handle at each call; a generator, as long as it runs."""
    kind = kind_of(fn)

    def start(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[StreamSpan | None, Any]:
        handle = new_handle()
        inner = fn(*args, **kwargs)
        try:
            if not handle.open_here():
                return None, inner
            return StreamSpan(handle, capture=False), inner
        except BaseException as error:  # a signal's
            handle.__exit__(None, error, error.__traceback__)
            raise

    async def inside_async(*args: Any, **kwargs: Any) -> Any:
        with new_handle():
            return await fn(*args, **kwargs)

    def inside(*args: Any, **kwargs: Any) -> Any:
        handle = new_handle().__enter__()
        try:
            result = fn(*args, **kwargs)
            pending = follow(handle, result, False, None) if handle.state == OPEN else None
            if pending is not None:
                return pending
            handle.end()
            return result
        except BaseException as error:
            handle.__exit__(None, error, error.__traceback__)
            raise

    if kind in WATCHED_GENERATORS:
        return cast("F", copy_identity(fn, WATCHED_GENERATORS[kind](fn, start)))
    return cast("F", copy_identity(fn, inside_async if kind == "async" else inside))
