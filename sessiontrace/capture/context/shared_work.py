"""Threads that do the work of many: the pools, schedulers and queues of other libraries.

Their threads and forked workers start with no span, and what is submitted to a thread carries its
own. The thread behind a queue of ``queue`` looks like one with a task of its own, so it leaves its
span when it takes an item that another session put. Runs in the threads that start, submit, put and
get. Invariant: no module is imported for this; what a program imports later is patched when it
starts a thread.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from sessiontrace.capture.context.carried_span import Carried, base, leave

__all__ = ["is_of_a_pool", "is_worker_process", "patch_loaded"]

Patch = Callable[[Any, str, Callable[[Callable[..., Any]], Any]], None]
Now = Callable[[], Carried]

_POOLS = (
    "anyio.",
    "apscheduler.",
    "asgiref.",
    "billiard.",
    "celery.",
    "concurrent.futures.",
    "eventlet.",
    "gevent.",
    "huey.",
    "joblib.",
    "kombu.",
    "logging.",
    "multiprocessing.",
    "schedule.",
    "sentry_sdk.",
    "socketserver",
    "trio.",
    "urllib3.",
)
_WRAPPERS = ("multiprocessing.dummy", "sentry_sdk.integrations.threading", "threading")
"""Modules that start a thread on behalf of their caller."""

_PROCESS_POOLS = ("billiard.pool", "concurrent.futures.process", "multiprocessing.pool")
"""Modules that fork workers; a process that a program forks itself has the span it began in."""

_SENDERS = "_sessiontrace_senders"  # in the ``__dict__`` of a queue


def is_of_a_pool(frame: FrameType | None) -> bool:
    """Whether the code that starts a thread, in ``frame``, belongs to a pool or a scheduler."""
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module not in _WRAPPERS:
            return isinstance(module, str) and module.startswith(_POOLS)
        frame = frame.f_back
    return False


def is_worker_process(frame: FrameType | None) -> bool:
    """Whether ``frame``, after a fork, is inside the making of a pool's worker process."""
    while frame is not None:
        if frame.f_globals.get("__name__") in _PROCESS_POOLS:
            return True
        frame = frame.f_back
    return False


def patch_loaded(patch: Patch, now: Now, call: Callable[..., Any]) -> None:
    """Have what is loaded by now carry the span of the work that it is given."""
    modules = sys.modules
    pool = getattr(modules.get("multiprocessing.pool"), "ThreadPool", None)
    if pool is not None and not hasattr(pool.apply_async, "__sessiontrace__"):
        submitting = functools.partial(_submitting, now, call)
        for name in (
            "apply_async",
            "imap",
            "imap_unordered",
            "map",
            "map_async",
            "starmap",
            "starmap_async",
        ):
            patch(pool, name, submitting)
        patch(pool.__mro__[1], "__init__", functools.partial(_outside, now))
    scheduler = getattr(modules.get("sched"), "scheduler", None)
    if scheduler is not None and not hasattr(scheduler.enterabs, "__sessiontrace__"):
        patch(scheduler, "enterabs", functools.partial(_scheduling, now, call))
    queues: Any = modules.get("queue")
    if queues is not None and not hasattr(queues.Queue.get, "__sessiontrace__"):
        patch(queues.Queue, "put", functools.partial(_putting, now))
        patch(queues.Queue, "get", _getting)
        patch(queues, "SimpleQueue", functools.partial(_noting, now))


def _submitting(
    now: Now, call: Callable[..., Any], original: Callable[..., Any]
) -> Callable[..., Any]:
    """For the methods of a ``ThreadPool``, whose first argument is the function."""

    def submit(self: Any, *args: Any, **kwargs: Any) -> Any:
        if carried := now():
            if args:
                args = (functools.partial(call, carried, args[0]), *args[1:])
            elif "func" in kwargs:
                kwargs["func"] = functools.partial(call, carried, kwargs["func"])
        return original(self, *args, **kwargs)

    return submit


def _outside(now: Now, original: Callable[..., Any]) -> Callable[..., Any]:
    """For the making of a pool: worker processes are forked, with what is current here."""

    def make(self: Any, *args: Any, **kwargs: Any) -> Any:
        carried = now()
        for variable, _ in carried:
            variable.set(None)
        try:
            return original(self, *args, **kwargs)
        finally:
            for variable, value in carried:
                variable.set(value)

    return make


def _scheduling(
    now: Now, call: Callable[..., Any], original: Callable[..., Any]
) -> Callable[..., Any]:
    def enterabs(self: Any, time: Any, priority: Any, action: Any, *args: Any, **kw: Any) -> Any:
        if carried := now():
            action = functools.partial(call, carried, action)
        return original(self, time, priority, action, *args, **kw)

    return enterabs


def _putting(now: Now, original: Callable[..., Any]) -> Callable[..., Any]:
    def put(self: Any, item: Any, *args: Any, **kwargs: Any) -> Any:
        sender = _sessions(now())
        if self.__dict__.setdefault(_SENDERS, sender) != sender:
            self.__dict__[_SENDERS] = None  # several: what a worker takes may be of any of them
        return original(self, item, *args, **kwargs)

    return put


def _getting(original: Callable[..., Any]) -> Callable[..., Any]:
    def get(self: Any, *args: Any, **kwargs: Any) -> Any:
        item = original(self, *args, **kwargs)
        carried = base.get()
        if carried is not None and self.__dict__.get(_SENDERS) != _sessions(carried):
            leave()
        return item

    return get


def _noting(now: Now, original: type[Any]) -> type[Any]:
    """For ``SimpleQueue``, whose methods are in C: a class that notes the sessions of senders."""

    class SimpleQueue(original):  # type: ignore[misc]
        put = _putting(now, original.put)
        get = _getting(original.get)
        put_nowait = _putting(now, original.put_nowait)
        get_nowait = _getting(original.get_nowait)

    return SimpleQueue


def _sessions(carried: Carried) -> tuple[str, ...]:
    return tuple(handle.session.session_id for _, handle in carried)
