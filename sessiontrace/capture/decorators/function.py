"""The decorator: a function that opens a span around each call; runs in the user's thread.

Invariant: what a program can see of the decorated function (its kind, signature, result and
exceptions) is what it could see of the bare one.
"""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from sessiontrace.capture.decorators.arguments import Binder, binder, label_of
from sessiontrace.capture.decorators.generators import (
    follow,
    watched_async_generator,
    watched_generator,
)
from sessiontrace.capture.decorators.signature import build, head_of
from sessiontrace.capture.span import _OPEN, Span
from sessiontrace.capture.streams.stream_span import Reduce, StreamSpan
from sessiontrace.capture.tracer_state import TracerProtocol, TracerState
from sessiontrace.runtime.log import log_once

if TYPE_CHECKING:
    from sessiontrace.capture.session import Session

__all__ = ["TraceOptions", "decorate", "is_async", "traced_block"]

F = TypeVar("F", bound=Callable[..., Any])

_MARK = "__sessiontrace__"
_CARRIED = ("cache_info", "cache_clear", "cache_parameters")  # of functools.lru_cache


class TraceOptions(NamedTuple):
    """What the decorator was told. ``capture``: True, False, "inputs" or "outputs"."""

    name: str | None = None
    type: str = "chain"
    capture: bool | str = True
    ignore: Collection[str] = ()
    reduce: Reduce | None = None


def decorate(switch: TracerProtocol, target: F, plan: TraceOptions) -> F:
    """``target`` with a span around each call: a function, a callable object, or a class."""
    found: Any = target
    if isinstance(found, type):
        return cast("F", _decorate_class(switch, found, plan))
    if isinstance(found, (staticmethod, classmethod)):
        return cast("F", type(found)(decorate(switch, found.__func__, plan)))
    if isinstance(found, property):
        getter = found.fget and decorate(switch, found.fget, plan)
        return cast("F", property(getter, found.fset, found.fdel, found.__doc__))
    return cast("F", _decorate_function(switch, found, plan))


def _decorate_class(switch: TracerProtocol, cls: type, plan: TraceOptions) -> type:
    """The class itself, its public methods traced."""
    for name, member in list(vars(cls).items()):
        inner = member.__func__ if isinstance(member, (staticmethod, classmethod)) else member
        if name.startswith("_") and name != "__call__":
            continue
        if not isinstance(inner, types.FunctionType) or hasattr(inner, _MARK):
            continue
        label = None if plan.name is None else f"{plan.name}.{name}"
        try:
            setattr(cls, name, decorate(switch, member, plan._replace(name=label)))
        except (AttributeError, TypeError):
            log_once(
                "trace:class", "%s cannot be changed, %s is not traced", cls.__qualname__, name
            )
    return cls


def _decorate_function(
    switch: TracerProtocol, fn: Callable[..., Any], plan: TraceOptions
) -> Callable[..., Any]:
    begin = _beginning(switch, fn, plan)
    outputs = plan.capture is True or plan.capture == "outputs"
    kind = _kind_of(fn)
    if kind in _GENERATORS:
        return _carry(fn, _GENERATORS[kind](fn, _start(switch, fn, begin, outputs, plan.reduce)))
    finish = _finishing(outputs, plan.reduce)
    if kind == "async":
        made: Callable[..., Any] = build(_ASYNC, head_of(fn))(switch, fn, begin, finish)
        return _carry(fn, made)
    return _carry(fn, _traced(switch, fn, begin, finish))


_GENERATORS: dict[str, Callable[..., Callable[..., Any]]] = {
    "generator": watched_generator,
    "async generator": watched_async_generator,
}


def _kind_of(fn: Callable[..., Any]) -> str:
    """What calling it gives; a callable object is asked by its ``__call__``."""
    for one in (fn, None if inspect.isroutine(fn) else type(fn).__call__):
        if inspect.iscoroutinefunction(one):
            return "async"
        if inspect.isasyncgenfunction(one):
            return "async generator"
        if inspect.isgeneratorfunction(one):
            return "generator"
    return "plain"


def is_async(fn: Callable[..., Any]) -> bool:
    """Whether calling it gives a coroutine."""
    return _kind_of(fn) == "async"


def _carry(fn: Callable[..., Any], wrapper: Callable[..., Any]) -> Callable[..., Any]:
    """The wrapper with everything that can be seen on ``fn``."""
    functools.update_wrapper(wrapper, fn)
    if not hasattr(fn, "__name__"):  # a partial or a callable object
        wrapper.__name__ = wrapper.__qualname__ = label_of(fn)
    for name in _CARRIED:
        if hasattr(fn, name):
            setattr(wrapper, name, getattr(fn, name))
    setattr(wrapper, _MARK, True)
    return wrapper


Begin = Callable[["tuple[Any, ...]", "dict[str, Any]"], "Span | None"]
"""The span of a call with these arguments, not entered; None: nothing is recorded."""

Finish = Callable[[Span, Any], Any]
"""The end of a call that gave this result; what to return in its place."""


def _beginning(switch: TracerProtocol, fn: Callable[..., Any], plan: TraceOptions) -> Begin:
    label = plan.name or label_of(fn)
    type_ = plan.type
    bind: Binder | None = None
    if plan.capture is True or plan.capture == "inputs":
        bind = binder(fn, plan.ignore)

    def begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Span | None:
        recorder = switch.recorder or switch.begin()
        if recorder is None:
            return None
        try:
            inputs = bind(args, kwargs) if bind is not None and recorder.capture else None
            return Span(recorder, label, type_, inputs)
        except Exception:  # RecursionError: the user's own stack is nearly full
            recorder.drop("encode_error")
            return None

    return begin


def _finishing(outputs: bool, reduce: Reduce | None) -> Finish:
    def finish(span: Span, result: Any) -> Any:
        if type(result) is not dict:  # of one there is nothing to follow: one call less
            later = follow(span, result, outputs, reduce)
            if later is not None:
                return later
        if outputs:
            span._end_with(result)
        else:
            span._end(False)
        return result

    return finish


def _traced(
    switch: TracerProtocol, fn: Callable[..., Any], begin: Begin, finish: Finish
) -> Callable[..., Any]:
    def traced(*args: Any, **kwargs: Any) -> Any:
        if switch.off or (span := begin(args, kwargs)) is None:
            return fn(*args, **kwargs)
        span.__enter__()
        try:
            result = fn(*args, **kwargs)
        except BaseException as error:
            span.__exit__(None, error, error.__traceback__)
            raise
        return finish(span, result)

    return traced


_ASYNC = """
def make(_st_switch, _st_fn, _st_begin, _st_finish):
    async def traced(PARAMETERS):
        GIVEN
        if _st_switch.off or (_st_span := _st_begin(_st_args, _st_kwargs)) is None:
            return await _st_fn(*_st_args, **_st_kwargs)
        _st_span.__enter__()
        try:
            _st_result = await _st_fn(*_st_args, **_st_kwargs)
        except BaseException as _st_error:
            _st_span.__exit__(None, _st_error, _st_error.__traceback__)
            raise
        return _st_finish(_st_span, _st_result)
    return traced
"""


def _start(
    switch: TracerProtocol,
    fn: Callable[..., Any],
    begin: Begin,
    outputs: bool,
    reduce: Reduce | None,
) -> Callable[[tuple[Any, ...], dict[str, Any]], tuple[StreamSpan | None, Any]]:
    """How a traced generator begins."""

    def start(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[StreamSpan | None, Any]:
        inner = fn(*args, **kwargs)
        if switch.off or (span := begin(args, kwargs)) is None:
            return None, inner
        span._open(span._recorder.current.get())
        return StreamSpan(span, capture=outputs, reduce=reduce), inner

    return start


def traced_block(switch: TracerProtocol | TracerState, fresh: Callable[[], Session], fn: F) -> F:
    """``fn`` run inside a fresh session at each call."""
    kind = _kind_of(fn)

    def start(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[StreamSpan | None, Any]:
        session = fresh()
        inner = fn(*args, **kwargs)
        if (recorder := session._find_recorder()) is None:
            return None, inner
        session._use_state(recorder)
        session._open(recorder.current.get())
        return StreamSpan(session, capture=False), inner

    async def inside_async(*args: Any, **kwargs: Any) -> Any:
        with fresh():
            return await fn(*args, **kwargs)

    def inside(*args: Any, **kwargs: Any) -> Any:
        session = fresh().__enter__()
        try:
            result = fn(*args, **kwargs)
        except BaseException as error:
            session.__exit__(None, error, error.__traceback__)
            raise
        if session._state == _OPEN and (later := follow(session, result, False, None)) is not None:
            return later
        session.end()
        return result

    if kind in _GENERATORS:
        return cast("F", _carry(fn, _GENERATORS[kind](fn, start)))
    return cast("F", _carry(fn, inside_async if kind == "async" else inside))
