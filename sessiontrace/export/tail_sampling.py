"""Tail sampling: a session's records wait until it is decided whether they are sent at all.

``TailSampler`` is a source over the lane's own spool; the sender's thread uses it. Invariants: a
record is handed out or counted as sampled, never both; and a session that cannot be decided is
handed out.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from sessiontrace.export.reordering import (
    MOST_BEHIND,
    BufferedSession,
    OutOfOrderSource,
)
from sessiontrace.model.fields import SCORES
from sessiontrace.model.lru_cache import LruCache
from sessiontrace.model.record import END, OPEN, START, UPDATE, Record, Records, session_id_of
from sessiontrace.model.sampling import Sample, is_sampled
from sessiontrace.spool.frame import Position
from sessiontrace.spool.positions import Positions
from sessiontrace.spool.source import Chunk, Source

__all__ = ["TailSampler"]

_REMEMBERED = 10_000  # fates, for what comes after a session's end: late events, another turn
_MEASURED = frozenset({"time_to_first_chunk_ms", "chunks", "largest_gap_ms"})  # by streams


class TailSampler(OutOfOrderSource):
    """``source`` without the sessions that ``sample`` does not keep; those go to ``on_sampled``.

    A session is kept as soon as there is a reason to, and dropped at its end (a conversation: when
    none of its turns is open) if there was none. It is kept undecided after ``max_age_s`` seconds,
    on ``release_all``, or as the oldest one when more than ``max_records`` or ``max_bytes`` wait
    in all. A chunk without records means: ask again.
    """

    def __init__(
        self,
        source: Source,
        sample: Sample,
        on_sampled: Callable[[int], None],
        *,
        max_records: int = 10_000,
        max_bytes: int = 16 << 20,
        max_age_s: float = 300.0,
        max_behind: int = MOST_BEHIND,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(source)
        self._sample = sample
        self._on_sampled = on_sampled
        self._max_records = max_records
        self._max_bytes = max_bytes
        slow = sample.slower_than  # a session open for longer is kept without waiting for its end
        self._max_age_s = max_age_s if slow is None else min(max_age_s, slow)
        self._max_behind = max_behind
        self._now = now
        self._waiting: dict[bytes, BufferedSession] = {}  # by session, oldest first
        self._decisions: LruCache[bytes, bool] = LruCache(_REMEMBERED)  # kept or not
        self._ready: deque[tuple[Record, int]] = deque()
        self._records = self._size = 0
        self._hurry = False

    def read(self, max_records: int, max_bytes: int) -> Chunk | None:
        """What is kept; without records: ask again; None: nothing now."""
        if not self._ready:
            chunk = self._source.read(max_records, max_bytes)
            if chunk is None:
                self._keep_what_must_go()
            else:
                for record, end in zip(chunk.records, chunk.ends, strict=True):
                    self._take(record, end)
                self._keep_what_is_too_much()
                self._pass()  # over what was dropped
            if not self._ready:
                return None if chunk is None else Chunk(Records(), Positions())
        records = Records()
        numbers: list[int] = []
        size = 0
        while self._ready and len(records) < max_records and size < max_bytes:
            record, number = self._ready.popleft()
            records.append(record)
            numbers.append(number)
            size += len(record.body)
        return self._give(records, numbers)

    def finished(self) -> bool:
        """Whether nothing will ever come any more."""
        return not self._waiting and not self._ready and super().finished()

    def release_all(self) -> None:
        """Keep what is undecided in the source now: a flush, or the end."""
        self._hurry = True

    def seconds_until_due(self) -> float | None:
        """Seconds until a session must be kept for its age; None when none waits."""
        for undecided in self._waiting.values():
            return max(0.0, undecided.since + self._max_age_s - self._now())
        return None

    # -- one record -------------------------------------------------------------------------

    def _take(self, record: Record, end: Position) -> None:
        number = self._number(end)
        session = session_id_of(record.body)
        undecided = self._waiting.get(session)
        if undecided is None:
            if not self._waits(session, record):
                if self._decisions.get(session) is not False:
                    self._ready.append((record, number))
                else:
                    self._drop([record.kind], [number])
                return
            undecided = self._waiting[session] = BufferedSession(self._now())
        undecided.add(record, number)
        self._records += 1
        self._size += len(record.body)
        if self._matters(record):
            self._decide(session, True)
        elif undecided.closes(record):
            self._decide(session, False)

    def _waits(self, session: bytes, record: Record) -> bool:
        """Whether a session of which nothing waits yet is to be decided from this record on.

        Only what begins here is: what another process opened has no end in this spool.
        """
        if record.kind != START or self._decisions.get(session) is True:
            return False
        if is_sampled(session.decode("ascii", "replace"), self._sample.rate):
            return False
        return "sample" not in _part(_decoded(record, b'"sample":'), "metadata")

    def _matters(self, record: Record) -> bool:
        """Whether this record is a reason to keep its session."""
        sample = self._sample
        if sample.keep_errors and _decoded(record, b'"error":').get("error") is not None:
            return True
        if record.kind != END:
            return record.kind == UPDATE and self._scored_low(_decoded(record))
        body = _decoded(record)
        if _part(body, "metadata").get("abandoned"):
            return True
        took = body.get("duration")
        if sample.slower_than is not None and isinstance(took, (int, float)):
            return took > sample.slower_than * 1000 or self._scored_low(body)
        return self._scored_low(body)

    def _scored_low(self, body: dict[str, Any]) -> bool:
        below = self._sample.score_below
        if below is None:
            return False
        for bucket in SCORES:
            for name, value in _part(body, bucket).items():
                least = below.get(name) if isinstance(below, Mapping) else below
                if least is None or not isinstance(value, (int, float)) or name in _MEASURED:
                    continue
                if value < least:
                    return True
        return False

    # -- decisions --------------------------------------------------------------------------

    def _decide(self, session: bytes, keep: bool) -> None:
        undecided = self._waiting.pop(session)
        self._records -= len(undecided.records)
        self._size -= undecided.size
        self._decisions.put(session, keep)
        if keep:
            self._ready.extend(zip(undecided.records, undecided.numbers, strict=True))
        else:
            self._drop(undecided.records.kinds, undecided.numbers)

    def _drop(self, kinds: list[bytes], numbers: list[int]) -> None:
        counted = [kind != OPEN for kind in kinds]
        self._on_sampled(sum(counted))
        for number, counts in zip(numbers, counted, strict=True):
            self._finish(number, counts)

    def _keep_what_must_go(self) -> None:
        """With nothing more to read: what a flush waits for, and what is open for too long."""
        while self._waiting and (self._hurry or (self.seconds_until_due() or 0.0) <= 0.0):
            self._decide(next(iter(self._waiting)), True)
        self._hurry = False

    def _keep_what_is_too_much(self) -> None:
        while self._waiting:
            session, undecided = next(iter(self._waiting.items()))
            if (
                self._records <= self._max_records
                and self._size <= self._max_bytes
                and self._since(undecided.numbers[0]) <= self._max_behind
            ):
                return
            self._decide(session, True)


def _decoded(record: Record, if_within: bytes = b"") -> dict[str, Any]:
    """A record's body; empty where it lacks these bytes or is not an object."""
    if if_within not in record.body:
        return {}
    try:
        body = orjson.loads(record.body)
    except orjson.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}


def _part(body: dict[str, Any], name: str) -> dict[str, Any]:
    part = body.get(name)
    return part if isinstance(part, dict) else {}
