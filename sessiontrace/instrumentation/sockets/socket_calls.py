"""The model calls of one connection: opened by what is sent, ended by what is received.

A connection carries many calls, and the end of one comes in another task or thread than its start.
Runs on the threads that send and receive, under a lock of the connection. Invariant: nothing here
raises into the program, and every call that was opened ends when the connection does.
"""

from __future__ import annotations

import weakref
from typing import Any

import orjson

from sessiontrace.capture.handle import OPEN, Handle
from sessiontrace.instrumentation.core.model_calls import CallRecorder
from sessiontrace.instrumentation.core.never_raises import never_raises
from sessiontrace.instrumentation.core.placement import innermost
from sessiontrace.instrumentation.core.response_fields import without_none
from sessiontrace.instrumentation.core.stream_observer import StreamAssembler, StreamObserver
from sessiontrace.runtime.reentrant_lock import ReentrantLock

__all__ = ["SocketCalls"]


class SocketCalls:
    """One connection to an API; a subclass for each API reads its messages.

    ``host`` and ``query``: of the connection's URL. A subclass defines ``on_sent`` and
    ``on_received``, which get decoded JSON objects, and ``provider``.
    """

    provider = ""

    def __init__(self, calls: CallRecorder, host: str, query: str) -> None:
        self.host = host
        self.query = query
        self._calls = calls
        self._lock = ReentrantLock()
        self._turns: list[StreamObserver] = []
        self._parent = self._innermost()
        self._finalizer: weakref.finalize[..., Any] | None = None

    def follow(self, connection: Any) -> None:
        """End the open calls when the connection is collected."""
        self._finalizer = weakref.finalize(connection, self._end_all, "dropped", None)
        self._finalizer.atexit = False

    def sent(self, message: Any) -> None:
        """Read a message that goes to the provider."""
        self._read(message, self.on_sent)

    def received(self, message: Any) -> None:
        """Read a message that came from the provider."""
        self._read(message, self.on_received)

    def close(self) -> None:
        """The program closes the connection."""
        self._end_all("closed", None)

    def failed(self, error: Exception) -> None:
        """Sending or receiving failed; only the end of the connection ends its calls."""
        kind = type(error).__name__
        if kind == "ConnectionClosedOK":  # the provider closed it: what was open is cut
            self._end_all("exhausted", None)
        elif kind.startswith("ConnectionClosed"):
            self._end_all("failed", error)

    def on_sent(self, message: dict[str, Any]) -> None:
        """Read a decoded message that goes to the provider."""

    def on_received(self, message: dict[str, Any]) -> None:
        """Read a decoded message that came from the provider."""

    def open_turn(
        self,
        operation: str,
        model: Any,
        assembler: StreamAssembler,
        inputs: dict[str, Any],
        config: dict[str, Any],
    ) -> StreamObserver | None:
        """Open a model call; None when nothing is to be recorded."""
        parent = self._innermost() or self._open_parent()
        recorder = self._calls.recorder(in_default_session=parent is None)
        if recorder is None:
            return None
        fields = {"type": operation, "model": model, "provider": self.provider, **config}
        name = operation if model is None else f"{operation} {model}"
        call = self._calls.model(
            name, inputs=inputs, config=without_none(fields), parent=parent, recorder=recorder
        )
        if call is None:
            return None
        turn = StreamObserver(call, assembler, {}, lambda error: {})
        self._turns.append(turn)
        return turn

    def end_turn(self, turn: StreamObserver) -> None:
        """The answer is there."""
        if turn in self._turns:
            self._turns.remove(turn)
        turn.end("exhausted")

    @never_raises(None)
    def _read(self, message: Any, read: Any) -> None:
        if not isinstance(message, (str, bytes)) or message[:1] not in ("{", b"{"):
            return
        try:
            body = orjson.loads(message)
        except orjson.JSONDecodeError:
            return
        with self._lock:
            read(body)

    @never_raises(None)
    def _end_all(self, how: str, error: Exception | None) -> None:
        with self._lock:
            turns, self._turns = self._turns, []
        for turn in turns:
            turn.end(how, error)

    def _innermost(self) -> Handle | None:
        tracer = self._calls.tracer
        recorder = None if tracer.off else tracer.recorder
        return None if recorder is None else innermost(recorder)

    def _open_parent(self) -> Handle | None:
        """The span that the connection was made in; what receives it may be a thread of its own."""
        parent = self._parent
        while parent is not None and parent.state != OPEN:
            parent = parent.parent
        return parent
