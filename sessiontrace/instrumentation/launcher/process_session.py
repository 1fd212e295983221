"""The session of a program started by ``sessiontrace run``.

The program's first call opens it, on its own thread, and the exit of the program ends it. The
processes below the program are turns of the same session. Invariant: a program whose calls are all
in sessions of their own, as in a server with one per request, never opens it.
"""

from __future__ import annotations

import atexit
import os
import sys
from typing import Any

from sessiontrace.capture.session import Session
from sessiontrace.capture.tracer_state import TracerProtocol, TracerState
from sessiontrace.instrumentation.registry import instruments
from sessiontrace.runtime.reentrant_lock import ReentrantLock

__all__ = ["RUN", "Program", "begin"]

_SERVERS = ("uvicorn", "gunicorn", "flask", "django", "aiohttp-server", "grpc-server")

RUN = "SESSIONTRACE_RUN"
"""The variable with ``<pid> <session id> <name>`` of the first process, for all below it."""


def begin(tracer: TracerProtocol) -> None:
    """Instrument this process with everything; called when it imports the first library."""
    process_instruments = instruments(tracer)
    process_instruments.add((), ())
    process_instruments.add(_SERVERS, ())
    calls = process_instruments.calls
    parts = os.environ.get(RUN, "").split(" ", 2)
    if len(parts) == 3:
        calls.open_default_session = Program(*parts).enter
        calls.infer_tools()


class Program:
    """Opens the program's session where a call finds no session."""

    def __init__(self, pid: str, session_id: str, name: str) -> None:
        self._first_pid = pid
        self._session_id = session_id
        self._name = name
        self._lock = ReentrantLock()
        self._session: Session | None = None
        self._pid = 0

    def enter(self, recorder: TracerState) -> None:
        """Make the program's session current here."""
        if self._session is None or self._pid != os.getpid():
            with self._lock:
                if self._session is None or self._pid != os.getpid():
                    self._open(recorder)
        recorder.current.set(self._session)

    def _open(self, recorder: TracerState) -> None:
        self._pid = os.getpid()
        first = str(self._pid) == self._first_pid
        name = self._name if first else os.path.basename(sys.argv[0] or "python")
        inputs = {"arguments": sys.argv[1:]}
        session = Session(recorder, name, session_id=self._session_id, inputs=inputs)
        if first:  # the session itself, not a turn of it
            session.event_id = session.session_id
        session.open(None)
        self._session = session
        # After the first record, so that this hook runs before the tracer's own at exit.
        atexit.register(self._end, session)
        util = sys.modules.get("multiprocessing.util")
        if util is not None:  # its child processes exit without atexit hooks
            util.Finalize(None, self._end, args=(session,), exitpriority=10)

    def _end(self, session: Session) -> None:
        if self._pid == os.getpid():
            error: Any = getattr(sys, "last_value", None)
            session.__exit__(None if error is None else type(error), error, None)
