"""What each part of the server's intake costs: the server's own functions, called in one thread.

Owned by the main thread of ``server.py``. Times are of this thread's processor in us an event, the
least of several rounds. Invariant: the parts do in their order what a request does, over a store of
their own, four requests in a transaction.
"""

from __future__ import annotations

import gc
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from sessiontrace.pricing.pricer import Pricer
from sessiontrace.pricing.prices import Prices
from sessiontrace.server.apis.honeyhive.mapping import event_record
from sessiontrace.server.apis.otlp import mapping
from sessiontrace.server.http import decode_json
from sessiontrace.store import folding
from sessiontrace.store.sqlite.fresh.fresh_event import fold_records
from sessiontrace.store.sqlite.fresh.outline import touched
from sessiontrace.store.sqlite.rows import repeated
from sessiontrace.store.sqlite.store import SqliteStore
from sessiontrace.wire.otlp_protobuf_reader import from_protobuf

__all__ = ["PARTS", "of_events", "of_spans"]

PARTS = ("decode", "records", "sessions of traces", "prices", "fold", "SQLite", "index")
ROUNDS = 3
TOGETHER = 4  # requests in a transaction

T = TypeVar("T")
Costs = dict[str, float]


class _Round:
    """One pass over all requests, into a new store."""

    def __init__(self, folder: str) -> None:
        self.costs: Costs = defaultdict(float)
        self._store = SqliteStore(Path(folder) / "store.db", busy_s=5.0)
        self._store.open()
        self._pricer = Pricer(Prices())

    def time(self, part: str, work: Callable[..., T], *arguments: Any) -> T:
        begun = time.thread_time()
        result = work(*arguments)
        self.costs[part] += time.thread_time() - begun
        return result

    def events(self, bodies: Sequence[bytes]) -> None:
        records = []
        for body in bodies:
            events = self.time("decode", decode_json, body)["events"]
            records += self.time("records", lambda events=events: [*map(event_record, events)])
        self._write(records)

    def spans(self, bodies: Sequence[bytes]) -> None:
        requests = []
        for body in bodies:
            spans, _ = self.time("decode", from_protobuf, body)
            requests.append(self.time("records", mapping.convert, spans).assembly)
        changes = [
            self.time("sessions of traces", request.plan, self._store) for request in requests
        ]
        self._write([record for change in changes for record in change.records])
        while requests:
            settled = [
                self.time("sessions of traces", request.settle, self._store) for request in requests
            ]
            self._write([record for change, _ in settled for record in change.records])
            requests = [
                request for request, (_, again) in zip(requests, settled, strict=True) if again
            ]

    def _write(self, records: Sequence[Any]) -> None:
        decoded = [entry for entry in map(folding.decode, records) if not isinstance(entry, str)]
        self.time("prices", lambda: [self._pricer.metadata(entry.event) for entry in decoded])
        before = self.costs["fold"]
        self.time("fold", _fold, decoded)
        self.time("SQLite", self._store.write, decoded)
        self.costs["SQLite"] -= self.costs["fold"] - before  # the store folds them again

    def finish(self) -> Costs:
        while self.time("index", self._store.index):
            pass
        self._store.close()
        return self.costs


def _fold(records: Sequence[folding.DecodedRecord]) -> None:
    """As the store does it where it has nothing of their sessions."""
    fold_records(records, {}, {}, repeated(touched(records).event_ids))


def of_events(bodies: Sequence[bytes], events: int) -> Costs:
    """us of each part for an event of HoneyHive's batch."""
    return _least(_Round.events, bodies, events)


def of_spans(bodies: Sequence[bytes], events: int) -> Costs:
    """us of each part for a span of OTLP in protobuf."""
    return _least(_Round.spans, bodies, events)


def _least(
    requests: Callable[[_Round, Sequence[bytes]], None], bodies: Sequence[bytes], events: int
) -> Costs:
    rounds: list[Costs] = []
    gc.freeze()
    gc.set_threshold(100_000, 10, 10)  # as the server does
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            measured = _Round(folder)
            for at in range(0, len(bodies), TOGETHER):
                requests(measured, bodies[at : at + TOGETHER])
            rounds.append(measured.finish())
    return {part: min(times.get(part, 0.0) for times in rounds) / events * 1e6 for part in PARTS}
