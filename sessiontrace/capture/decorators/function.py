"""The decorator of functions: the wrapper opens a span around each call, in the user's thread.

Invariant: the wrapper has the kind, signature, result and exceptions of the bare function.
"""

from __future__ import annotations

import copy
import functools
import inspect
import types
from collections.abc import Callable, Collection
from typing import Any, NamedTuple, TypeVar, cast

from sessiontrace.capture.decorators import cached_functions
from sessiontrace.capture.decorators.arguments import Binder, binder, label_of
from sessiontrace.capture.decorators.generators import (
    follow,
    watched_async_generator,
    watched_generator,
)
from sessiontrace.capture.decorators.signature import build, signature_of
from sessiontrace.capture.encoding.safe_text import kind_name
from sessiontrace.capture.span import Span, is_skipped
from sessiontrace.capture.streams.stream_span import Reduce, StreamSpan
from sessiontrace.capture.tracer_state import TracerProtocol
from sessiontrace.capture.unrecorded_span import UnrecordedSpan
from sessiontrace.runtime.log import log_once
from sessiontrace.runtime.signals import raise_if_from_signal

__all__ = [
    "WATCHED_GENERATORS",
    "TraceOptions",
    "copy_identity",
    "decorate",
    "is_async",
    "kind_of",
]

F = TypeVar("F", bound=Callable[..., Any])

cached_functions.register()

_MARK = "__sessiontrace__"
_COPIED = ("cache_info", "cache_clear", "cache_parameters")  # of functools.lru_cache


class TraceOptions(NamedTuple):
    """The decorator's arguments. ``capture``: True, False, "inputs" or "outputs"."""

    name: str | None = None
    type: str = "chain"
    capture: bool | str = True
    ignore: Collection[str] = ()
    reduce: Reduce | None = None


def decorate(tracer: TracerProtocol, target: F, options: TraceOptions) -> F:
    """``target`` with a span around each call: a function, a callable object, or a class."""
    any_target: Any = target
    if isinstance(any_target, type):
        return cast("F", _decorate_class(tracer, any_target, options))
    if isinstance(any_target, (staticmethod, classmethod)):
        return cast("F", type(any_target)(decorate(tracer, any_target.__func__, options)))
    if isinstance(any_target, property):
        getter: Any = any_target.fget and decorate(tracer, any_target.fget, options)
        return cast("F", any_target.getter(getter))  # of the same class, with what else it has
    if not callable(any_target):
        return cast("F", _decorate_descriptor(tracer, any_target, options))
    return cast("F", _decorate_function(tracer, any_target, options))


def _decorate_descriptor(tracer: TracerProtocol, target: Any, options: TraceOptions) -> Any:
    """A descriptor around a function, the function traced; any other object as it is."""
    if isinstance(target, functools.cached_property):
        traced: Any = copy.copy(target)
        traced.func = decorate(tracer, target.func, options)
        return traced
    if isinstance(target, functools.partialmethod):
        inner = decorate(tracer, target.func, options)
        return type(target)(inner, *target.args, **target.keywords)
    if isinstance(target, functools.singledispatchmethod):
        method: Any = copy.copy(target)
        method.dispatcher = _TracedDispatcher(tracer, method.dispatcher, options)
        return method
    log_once(
        f"trace:{kind_name(type(target))}",
        "a %s is not a function and is not traced; decorate the function inside it",
        kind_name(type(target)),
    )
    return target


class _TracedDispatcher:
    """The dispatcher of a ``singledispatchmethod``, each implementation traced when it is used."""

    def __init__(self, tracer: TracerProtocol, dispatcher: Any, options: TraceOptions) -> None:
        self._dispatcher = dispatcher
        self._decorate = functools.lru_cache(maxsize=256)(
            lambda implementation: decorate(tracer, implementation, options)
        )

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._dispatcher, name)

    def dispatch(self, cls: type) -> Any:
        """The traced implementation for a class."""
        return self._decorate(self._dispatcher.dispatch(cls))


def _decorate_class(tracer: TracerProtocol, cls: type, options: TraceOptions) -> type:
    """The class itself, its public methods traced."""
    for name, member in list(vars(cls).items()):
        inner = member.__func__ if isinstance(member, (staticmethod, classmethod)) else member
        if name.startswith("_") and name != "__call__":
            continue
        if not isinstance(inner, types.FunctionType) or hasattr(inner, _MARK):
            continue
        label = None if options.name is None else f"{options.name}.{name}"
        try:
            setattr(cls, name, decorate(tracer, member, TraceOptions(label, *options[1:])))
        except (AttributeError, TypeError):
            log_once(
                "trace:class", "%s cannot be changed, %s is not traced", cls.__qualname__, name
            )
    return cls


def _decorate_function(
    tracer: TracerProtocol, fn: Callable[..., Any], options: TraceOptions
) -> Callable[..., Any]:
    begin = _make_begin(tracer, fn, options)
    outputs = options.capture is True or options.capture == "outputs"
    kind = kind_of(fn)
    if kind in WATCHED_GENERATORS:
        return copy_identity(
            fn,
            WATCHED_GENERATORS[kind](fn, _make_start(tracer, fn, begin, outputs, options.reduce)),
        )
    finish = _make_finish(outputs, options.reduce)
    if kind == "async":
        wrapper: Callable[..., Any] = build(_ASYNC, signature_of(fn))(tracer, fn, begin, finish)
        return copy_identity(fn, wrapper)
    return copy_identity(fn, _traced(tracer, fn, begin, finish))


WATCHED_GENERATORS: dict[str, Callable[..., Callable[..., Any]]] = {
    "generator": watched_generator,
    "async generator": watched_async_generator,
}
"""How to wrap a generator function, by its ``kind_of``."""


def kind_of(fn: Callable[..., Any]) -> str:
    """What calling ``fn`` gives: "async", "generator", "async generator" or "plain".

    The ``__call__`` of a callable object decides for the object.
    """
    for function in (fn, None if inspect.isroutine(fn) else type(fn).__call__):
        if inspect.iscoroutinefunction(function):
            return "async"
        if inspect.isasyncgenfunction(function):
            return "async generator"
        if inspect.isgeneratorfunction(function):
            return "generator"
    return "plain"


def is_async(fn: Callable[..., Any]) -> bool:
    """Whether calling ``fn`` gives a coroutine."""
    return kind_of(fn) == "async"


def copy_identity(fn: Callable[..., Any], wrapper: Callable[..., Any]) -> Callable[..., Any]:
    """The wrapper, with the name, docstring and other visible attributes of ``fn``."""
    functools.update_wrapper(wrapper, fn)
    if not hasattr(fn, "__name__"):  # a partial or a callable object
        wrapper.__name__ = wrapper.__qualname__ = label_of(fn)
    for name in _COPIED:
        if hasattr(fn, name):
            setattr(wrapper, name, getattr(fn, name))
    setattr(wrapper, _MARK, True)
    return wrapper


Begin = Callable[["tuple[Any, ...]", "dict[str, Any]"], "Span | None"]
"""Makes the span of a call with these arguments, not entered; None: not recorded."""

Finish = Callable[[Span, Any], Any]
"""Ends the span of a call with its result; returns what the call returns."""


def _make_begin(tracer: TracerProtocol, fn: Callable[..., Any], options: TraceOptions) -> Begin:
    label = options.name or label_of(fn)
    type_ = options.type
    bind: Binder | None = None
    if options.capture is True or options.capture == "inputs":
        bind = binder(fn, options.ignore)

    def begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Span | None:
        recorder = tracer.recorder or tracer.begin()
        if recorder is None:
            return None
        try:
            if recorder.skips and is_skipped(recorder.current.get()):
                return UnrecordedSpan(recorder, label, type_)
            inputs = bind(args, kwargs) if bind is not None and recorder.capture else None
            return Span(recorder, label, type_, inputs)
        except Exception as error:  # RecursionError: the user's own stack is nearly full
            raise_if_from_signal(error)
            recorder.drop("encode_error")
            return None

    return begin


def _make_finish(outputs: bool, reduce: Reduce | None) -> Finish:
    def finish(span: Span, result: Any) -> Any:
        if type(result) is not dict:  # a dict does not stream: one call less
            pending = follow(span, result, outputs, reduce)
            if pending is not None:
                return pending
        if outputs:
            span.end_with(result)
        else:
            span.end()
        return result

    return finish


def _traced(
    tracer: TracerProtocol, fn: Callable[..., Any], begin: Begin, finish: Finish
) -> Callable[..., Any]:
    def traced(*args: Any, **kwargs: Any) -> Any:
        if tracer.off or (span := begin(args, kwargs)) is None:
            return fn(*args, **kwargs)
        span.__enter__()
        try:
            result = fn(*args, **kwargs)
            return finish(span, result)
        except BaseException as error:  # `finish` raises only what a signal handler does
            span.__exit__(None, error, error.__traceback__)
            raise

    return traced


_ASYNC = """
def make(_st_tracer, _st_fn, _st_begin, _st_finish):
    async def traced(PARAMETERS):
        COLLECT
        if _st_tracer.off or (_st_span := _st_begin(_st_args, _st_kwargs)) is None:
            return await _st_fn(*_st_args, **_st_kwargs)
        _st_span.__enter__()
        try:
            _st_result = await _st_fn(*_st_args, **_st_kwargs)
            return _st_finish(_st_span, _st_result)
        except BaseException as _st_error:
            _st_span.__exit__(None, _st_error, _st_error.__traceback__)
            raise
    return traced
"""


def _make_start(
    tracer: TracerProtocol,
    fn: Callable[..., Any],
    begin: Begin,
    outputs: bool,
    reduce: Reduce | None,
) -> Callable[[tuple[Any, ...], dict[str, Any]], tuple[StreamSpan | None, Any]]:
    """The ``Start`` of a traced generator function."""

    def start(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[StreamSpan | None, Any]:
        inner = fn(*args, **kwargs)
        if tracer.off or (span := begin(args, kwargs)) is None:
            return None, inner
        return StreamSpan.opened(span, capture=outputs, reduce=reduce), inner

    return start
