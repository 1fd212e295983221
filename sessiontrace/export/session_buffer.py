"""Buffers a session's records until its end, for backends that need parents before children.

``SessionBuffer`` is a source over another source; the sender's thread uses it. Invariant: the
source's cursor never moves past a record that is buffered or not settled, in whatever order
sessions are released.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from sessiontrace.export.reordering import (
    MOST_BEHIND,
    BufferedSession,
    OutOfOrderSource,
)
from sessiontrace.model.record import UPDATE, Record, Records, session_id_of
from sessiontrace.spool.frame import Position
from sessiontrace.spool.positions import Positions
from sessiontrace.spool.source import Chunk, Source

__all__ = ["SessionBuffer"]

_READ_BYTES = 1 << 20


class SessionBuffer(OutOfOrderSource):
    """``source`` with the records of each session kept together.

    A session is let go with its end (a conversation: when none of its turns is open), after
    ``max_age_s`` seconds, on ``release_all``, or as the longest held one when more than
    ``max_records`` or ``max_bytes`` are held in all. A chunk without records means: ask again.
    """

    def __init__(
        self,
        source: Source,
        *,
        max_records: int = 10_000,
        max_bytes: int = 16 << 20,
        max_age_s: float = 60.0,
        max_behind: int = MOST_BEHIND,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(source)
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s
        self._max_behind = max_behind
        self._now = now
        self._groups: dict[bytes, BufferedSession] = {}  # by session, longest held first
        self._ready: deque[BufferedSession] = deque()
        self._records = self._size = 0
        self._hurry = False

    def finished(self) -> bool:
        """Whether nothing will ever come any more."""
        return not self._groups and not self._ready and super().finished()

    def read(self, max_records: int, max_bytes: int) -> Chunk | None:
        """A session's records, whole though there be more than asked for; None: nothing now."""
        if not self._ready:
            chunk = self._source.read(max_records, max(max_bytes, _READ_BYTES))
            if chunk is not None:
                for record, end in zip(chunk.records, chunk.ends, strict=True):
                    self._take(record, end)
                self._release_excess()
            elif self._hurry or self._source.adopted:
                self._release_everything()
            self._release_old()
            if not self._ready:
                if chunk is None:
                    self._hurry = False
                    return None
                return Chunk(Records(), Positions())
        group = self._ready.popleft()
        return self._give(group.records, group.numbers)

    def release_all(self) -> None:
        """Let go of everything that is in the source now: a flush, or the end."""
        super().release_all()
        self._hurry = True

    def seconds_until_due(self) -> float | None:
        """Seconds until the longest held session must go; None when nothing is held."""
        for group in self._groups.values():
            return max(0.0, group.since + self._max_age_s - self._now())
        return super().seconds_until_due()

    def _take(self, record: Record, end: Position) -> None:
        number = self._number(end)
        session = session_id_of(record.body)
        group = self._groups.get(session)
        if group is None:
            group = BufferedSession(self._now())
            if record.kind == UPDATE:  # no record waits for it, and it waits for none
                self._ready.append(group)
            else:
                self._groups[session] = group
        group.add(record, number)
        if group is not self._groups.get(session):
            return
        self._records += 1
        self._size += len(record.body)
        if group.closes(record):
            self._release(session)

    def _release(self, session: bytes) -> None:
        group = self._groups.pop(session)
        self._records -= len(group.records)
        self._size -= group.size
        self._ready.append(group)

    def _release_excess(self) -> None:
        for session, group in list(self._groups.items()):
            if (
                self._records <= self._max_records
                and self._size <= self._max_bytes
                and self._since(group.numbers[0]) <= self._max_behind
            ):
                return
            self._release(session)

    def _release_old(self) -> None:
        while self._groups and (self.seconds_until_due() or 0.0) <= 0:
            self._release(next(iter(self._groups)))

    def _release_everything(self) -> None:
        for session in list(self._groups):
            self._release(session)
