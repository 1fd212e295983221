"""Process hooks: what tracers do at exit, at SIGTERM and in a forked child.

Runs in the main thread, or in a forked child. Invariant: hooks are registered with the first record
(SIGTERM's by ``init``, and only on request), never at import, and never keep a tracer alive.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Protocol

from sessiontrace.runtime import fork_hooks, log
from sessiontrace.runtime.reentrant_lock import ReentrantLock
from sessiontrace.runtime.signals import raise_if_from_signal

__all__ = ["ProcessListener", "flush_on_sigterm", "importing", "register"]

_IMPORT_S = 5.0


class ProcessListener(Protocol):
    """A tracer: it has threads and files, and must learn of exit and fork."""

    exit_timeout: float

    def at_exit(self, timeout: float) -> None:
        """Deliver what can be delivered within ``timeout`` seconds, and stop."""
        ...

    def after_fork(self) -> None:
        """In a forked child: leave the parent's threads and files untouched and start anew."""
        ...


_listeners: weakref.WeakSet[ProcessListener] = weakref.WeakSet()
_hooked_pid = 0
_imports = ReentrantLock()
_imports_locked = False


def register(listener: ProcessListener) -> None:
    """Call ``listener`` at the exit of this process and after forks, from now on."""
    global _hooked_pid
    _listeners.add(listener)
    if _hooked_pid == os.getpid():
        return
    if not _hooked_pid:
        atexit.register(_at_exit)
        fork_hooks.TRACERS.register(
            before=_before_fork, in_parent=_forked_in_parent, in_child=_after_fork
        )
    _hooked_pid = os.getpid()
    util = sys.modules.get("multiprocessing.util")
    if util is not None:  # its children leave by os._exit and run these finalizers, not atexit
        util.Finalize(None, _at_exit, exitpriority=0)


@contextmanager
def importing() -> Iterator[None]:
    """Use around imports in our threads: a fork waits until they are done.

    A child inherits a half-imported module together with its lock, whose holder exists in the
    parent only; the child could never import that module.
    """
    with _imports:
        yield


def _before_fork() -> None:
    global _imports_locked
    _imports_locked = _imports.acquire(timeout=_IMPORT_S)


def _forked_in_parent() -> None:
    global _imports_locked
    if _imports_locked:
        _imports_locked = False
        _imports.release()


def flush_on_sigterm() -> None:
    """Deliver what is pending before SIGTERM ends this process, unless the program handles SIGTERM.

    Python calls handlers in the main thread and lets no other thread set them.
    """
    if threading.current_thread() is not threading.main_thread():
        log.log_once("sigterm", 'on_sigterm="flush" needs init in the main thread; without effect')
    elif signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _on_sigterm)


def _on_sigterm(number: int, frame: FrameType | None) -> None:
    try:
        _at_exit()
    finally:  # the default action, so that the parent process sees the usual exit status
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


def _at_exit() -> None:
    listeners = list(_listeners)
    if not listeners:
        return
    deadline = time.monotonic() + max(listener.exit_timeout for listener in listeners)
    for listener in listeners:
        try:
            listener.at_exit(max(0.0, deadline - time.monotonic()))
        except KeyboardInterrupt:  # a second Ctrl-C: the spool keeps the rest
            return
        except Exception as error:
            raise_if_from_signal(error)
            log.log_once("exit", "a tracer could not be closed: %s", type(error).__name__)


def _after_fork() -> None:
    global _imports
    _imports = ReentrantLock()
    for listener in list(_listeners):
        try:
            listener.after_fork()
        except Exception as error:
            raise_if_from_signal(error)
            log.log_once("fork", "a tracer is lost in this child: %s", type(error).__name__)
