"""The sessions that are open now, each by the ``start`` it was opened with.

Used under the spool's lock only. Invariant: a segment repeats every start that is stored here, so
the last segment of a killed process suffices to find the sessions that it left open.
"""

from __future__ import annotations

from sessiontrace.model.record import OPEN, START, event_id_of
from sessiontrace.runtime.counters import Counters
from sessiontrace.spool import frame

__all__ = ["OpenSessions"]

_MAX_BYTES = 4 << 20
"""Beyond it the oldest is forgotten (and counted): sessions that never end must not pile up in
memory and in every segment. Recovery cannot end a forgotten session."""

_FRAMING = 32


class OpenSessions:
    """Starts by event id, oldest first. ``size`` is about the bytes their frames take."""

    __slots__ = ("_counters", "_starts", "size")

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._starts: dict[bytes, tuple[bytes, bytes]] = {}
        self.size: int = 0

    def __len__(self) -> int:
        return len(self._starts)

    def update(self, kind: bytes, route: bytes, body: bytes) -> None:
        """Take note of a ``start`` or an ``end``."""
        event_id = event_id_of(body)
        if event_id in self._starts:
            self._drop(event_id)
        if kind == START:
            self._starts[event_id] = (route, body)
            self.size += len(route) + len(body) + _FRAMING
            while self.size > _MAX_BYTES:
                self._drop(next(iter(self._starts)))
                self._counters.note("open_session_forgotten")

    def starts(self) -> list[tuple[bytes, bytes]]:
        """Route and start of every session that is open, oldest first."""
        return list(self._starts.values())

    def frames(self, seed: int) -> bytes:
        """Every stored start as an ``open`` frame of the segment with this seed."""
        return b"".join(
            frame.encode(seed, frame.head(OPEN, route), body)
            for route, body in self._starts.values()
        )

    def _drop(self, event_id: bytes) -> None:
        route, body = self._starts.pop(event_id)
        self.size -= len(route) + len(body) + _FRAMING
