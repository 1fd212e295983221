"""Filling a store in ClickHouse: events as agents make them, and copies of them made by the engine.

Owned by the thread of the script. Invariant: a copy is what a replica would have written, with
ids, times and a number of its own in columns, record and words; making it again adds nothing.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson

from sessiontrace.model.ids import new_id
from sessiontrace.model.record import END, EVENT
from sessiontrace.store.clickhouse.connection import Connection, Query
from sessiontrace.store.clickhouse.store import ClickHouseStore
from sessiontrace.store.folding import DecodedRecord

__all__ = ["BASE", "LONG", "WEEK_MS", "Texts", "copy", "fill", "number"]

BASE = 1_000_000
"""So many events are written through the store; what is more is copied from them."""

STEPS = 50
LONG = 1_000
WEEK_MS = 7 * 86_400_000
_BATCH = 20_000
_PIECES = 10
_OWN = "01"  # an id begins so, until 2039


class Texts:
    """Sentences of words that are as common as words are: the n-th one 1/n times."""

    def __init__(self, words: int = 30_000) -> None:
        self._random = random.Random(7)
        letters = "etaoinshrdlucmfwypvbgkjqxz"
        weights = [1 / (at + 3) for at in range(len(letters))]
        draw = self._random.choices
        self.words = ["".join(draw(letters, weights, k=3 + at % 8)) for at in range(words)]
        self._weights = list(itertools.accumulate(1 / (at + 10) for at in range(words)))
        self._sentences = [self._sentence(12) for _ in range(20_000)]

    def _sentence(self, words: int) -> str:
        return " ".join(self._random.choices(self.words, cum_weights=self._weights, k=words))

    def some(self, sentences: int) -> str:
        return ". ".join(self._random.choices(self._sentences, k=sentences))


def number(event: int) -> str:
    """The word that only this event holds."""
    copied, own = divmod(event, BASE)
    return f"copy{copied}number{own}" if copied else f"number{own}"


def events(
    texts: Texts, oldest: int, apart_ms: float, numbers: range, long: str
) -> Iterator[DecodedRecord]:
    """Records of these numbers, as the server hands them to the store.

    The first session is ``long``, where the numbers begin at 0.
    """
    steps, sid, seen = 0, "", 0
    for at in numbers:
        start = oldest + int(at * apart_ms)
        if seen == steps:
            sid, seen = (long if at == 0 else new_id()), 0
            steps = LONG if at == 0 else STEPS
            yield _decoded(END, {
                "event_id": sid, "session_id": sid, "event_type": "session",
                "event_name": f"agent {at % 17}", "source": "bench", "start_time": start,
                "end_time": start + 9_000, "duration": 9_000.0, "inputs": {"q": texts.some(1)},
                "user_properties": {"user_id": f"user {at % 10_007}"},
            })  # fmt: skip
        seen += 1
        yield _decoded(EVENT, {
            "event_id": new_id(), "session_id": sid, "parent_id": sid, "event_type": "model",
            "event_name": f"answer {at % 23}", "source": "bench", "start_time": start,
            "end_time": start + 250, "duration": 250.0,
            "inputs": {"chat_history": [
                {"role": "system", "content": "You are a helpful assistant of a shop."},
                {"role": "user", "content": f"{number(at)} {texts.some(3)}"},
            ]},
            "outputs": {"role": "assistant", "content": texts.some(2)},
            "config": {"model": "gpt-x", "provider": "openai"},
            "metadata": {"prompt_tokens": 120, "completion_tokens": at % 400, "cost": 0.001},
            **({"error": "TimeoutError: no answer"} if at % 997 == 0 else {}),
        })  # fmt: skip


def _decoded(kind: bytes, event: dict[str, Any]) -> DecodedRecord:
    return DecodedRecord(kind, event, orjson.dumps(event).decode())


def fill(store: ClickHouseStore, source: Iterator[DecodedRecord], count: int) -> dict[str, Any]:
    """Write records in batches, two on their way; what it took this process."""
    made_s = 0.0
    begun, spent = time.perf_counter(), time.process_time()
    size = 0
    with ThreadPoolExecutor(2) as writers:
        waiting = []
        while True:
            making = time.thread_time()
            batch = list(itertools.islice(source, _BATCH))
            made_s += time.thread_time() - making
            if not batch:
                break
            size += sum(len(one.body) for one in batch)
            waiting.append(writers.submit(store.write, batch))
            if len(waiting) > 1:
                waiting.pop(0).result()
        for one in waiting:
            one.result()
    took = time.perf_counter() - begun
    return {
        "bytes_sent": size / count,
        "per_second": count / took,
        "replica_us": (time.process_time() - spent - made_s) / count * 1e6,
    }


_COLUMNS = (
    "project, session_id, event_id, day, role, rank, start_time, end_time, duration, parent_id, "
    "type, name, status, error, tokens, cost_nano, first_chunk, scores, told, folded, body, words"
)
_COPY = """
INSERT INTO events ({columns})
SELECT
    project, {session}, {event}, toDate(fromUnixTimestamp64Milli(toInt64(start_time + {later}))),
    role, rank, start_time + {later}, end_time + {later}, duration,
    if(isNull(parent_id), NULL, {parent}), type, name, status, error, tokens, cost_nano,
    first_chunk, scores, {told}, folded,
    replaceOne(replaceAll({body}, '_id":"{own}', '_id":"{id}'), 'number', 'copy{which}number'),
    replaceOne(words, 'number', 'copy{which}number')
FROM events
WHERE startsWith(session_id, '{own}') AND cityHash64(session_id) % {pieces} = {{piece:UInt8}}
SETTINGS max_partitions_per_insert_block = 0, max_insert_threads = 1, max_threads = 2
"""


def copy(line: Connection, which: int, later_ms: int) -> None:
    """Copy number ``which`` of the first ``BASE`` events, so much later; unless it is there."""
    mark = f"{which + 1:02x}"
    there = "SELECT count() FROM events WHERE startsWith(session_id, {mark:String})"
    if line.query(Query(there, {"mark": mark}))[0][0] >= BASE:
        return

    def named(column: str) -> str:
        return f"concat('{mark}', substring({column}, 3))"

    def timed(column: str) -> str:
        for name in ("start_time", "end_time"):
            column = f"replaceOne({column}, toString({name}), toString({name} + {later_ms}))"
        return f"ifNull({column}, '')"

    statement = _COPY.format(
        columns=_COLUMNS, session=named("session_id"), event=named("event_id"), later=later_ms,
        parent=named("ifNull(parent_id, '')"), told=timed("told"), body=timed("body"), own=_OWN,
        id=mark, which=which, pieces=_PIECES,
    )  # fmt: skip
    for piece in range(_PIECES):
        line.run(Query(statement, {"piece": piece}))
