"""Starting one of our threads from the user's thread, in which a signal handler may raise.

Any thread may call this. Invariant: what a signal handler raises comes out as it is, whether the
thread runs already or not. The caller notes the thread before it starts it, and the thread ends at
once where another one was noted meanwhile.
"""

from __future__ import annotations

import sys
import threading

from sessiontrace.runtime.log import log_once
from sessiontrace.runtime.signals import raise_if_from_signal

__all__ = ["start_thread"]

_WITHOUT_THREADS = frozenset({"emscripten", "wasi"})


def start_thread(thread: threading.Thread) -> bool:
    """Start the thread; False where the system gives none now, or takes no new ones at exit.

    Where a handler raises just after the thread began, CPython's ``Thread.start`` tidies up as if
    it had not, fails in that with a KeyError, and hides what the handler raised.
    """
    try:
        thread.start()
    except Exception as error:
        raise_if_from_signal(error)
        if error.__context__ is not None:
            raise_if_from_signal(error.__context__)
        if isinstance(error, RuntimeError):
            if sys.platform in _WITHOUT_THREADS:
                log_once("threads", "this platform has no threads: nothing is delivered from here")
            return False
        raise
    return True
