"""A dashboard's totals are those of a count by hand, whatever order records come in."""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from support.records import T0, update
from support.session_strategies import histories

from sessiontrace.model.record import EVENT, Record
from sessiontrace.store.dashboard.models import DIMENSIONS, LEVELS, Period
from sessiontrace.store.models import SessionQuery, SessionSummary
from sessiontrace.store.sqlite.charts import hours
from sessiontrace.store.sqlite.store import SqliteStore

DAY = 86_400_000
PERIODS = (
    Period.of(T0 - 1_000, T0 + 3_600_000, T0 + 3_600_000),
    Period.of(T0 - 3 * DAY, T0 + 3 * DAY, T0 + 3 * DAY),  # holds whole hours and days
)


def amended(draw: Any, history: list[Record]) -> list[Record]:
    """The records, and late news of which model some of the steps called, and how it streamed."""
    changes = []
    for record in history:
        if record.kind == EVENT and draw(st.booleans()):
            event = orjson.loads(record.body)
            model = {"model": draw(st.sampled_from(["gpt", "mini"]))}
            chunk = {"time_to_first_chunk_ms": draw(st.integers(0, 900))}
            ids = event["event_id"], event["session_id"]
            changes.append(update(*ids, config=model, metrics=chunk))
    return [*history, *changes]


def levels(values: Sequence[float]) -> tuple[float, ...] | None:
    ordered = sorted(values)
    return tuple(ordered[int(q * len(ordered))] for q in LEVELS) if ordered else None


def sum_up(store: SqliteStore) -> None:
    """Keep the figures of all hours, as a server does once they are quiet."""
    connection = store._connection
    assert connection is not None
    while hours.sum_up(connection, quiet_ms=-1):
        pass


def check(store: SqliteStore) -> None:
    """The figures are right while hours are counted one by one, and when their sums are kept."""
    for period in PERIODS:
        compare(store, period)
    sum_up(store)
    for period in PERIODS:
        compare(store, period)


def compare(store: SqliteStore, period: Period) -> None:
    """Compare every figure with what the list and the steps of its sessions say."""
    sessions = store.sessions(SessionQuery(limit=1_000)).sessions
    dashboard = store.dashboard(SessionQuery(), period)
    total, calls = dashboard.total, model_calls(store, sessions)
    assert total.sessions == sum(point.sessions for point in dashboard.points) == len(sessions)
    assert total.failed == sum(one.error is not None or one.errors > 0 for one in sessions)
    assert total.steps == sum(one.events for one in sessions)
    assert total.errors == sum(one.errors for one in sessions)
    assert total.calls == sum(one.models for one in sessions) == len(calls)
    assert total.tokens == sum(one.tokens for one in sessions)
    assert total.cost_nano == sum(round(one.cost * 1e9) for one in sessions)
    assert total.latency == levels([one.duration for one in sessions])
    assert total.first_chunk == levels([ms for _, _, ms in calls if ms is not None])
    models = store.breakdown(SessionQuery(), period, "model").groups
    assert {one.value: one.figures.calls for one in models} == Counter(m for m, _, _ in calls)
    assert {one.value: one.figures.tokens for one in models} == summed(calls)
    for by in DIMENSIONS[1:4]:
        groups = store.breakdown(SessionQuery(), period, by).groups
        assert {one.value: one.figures.sessions for one in groups} == Counter(
            getattr(one, by) for one in sessions
        )


def model_calls(
    store: SqliteStore, sessions: Sequence[SessionSummary]
) -> list[tuple[str | None, int, float | None]]:
    """Model, tokens and time to the first chunk of every call."""
    calls = []
    for session in sessions:
        stored = store.session(session.session_id)
        for step in stored.events if stored else ():
            if step.type in ("model", "embedding"):
                record = store.event(step.event_id) or {}
                chunk = record.get("metrics", {}).get("time_to_first_chunk_ms")
                calls.append((record.get("config", {}).get("model"), step.tokens, chunk))
    return calls


def summed(calls: Sequence[tuple[str | None, int, float | None]]) -> dict[str | None, int]:
    tokens: dict[str | None, int] = {}
    for model, used, _ in calls:
        tokens[model] = tokens.get(model, 0) + used
    return tokens


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_every_figure_is_that_of_a_count_by_hand(data: st.DataObject):
    """Records come twice, late and in any order, an event is forgotten and a session erased: the
    figures are those of what the store shows.
    """
    written = [
        record
        for _ in range(data.draw(st.integers(1, 3)))
        for record in amended(data.draw, data.draw(histories()))
    ]
    again = data.draw(st.lists(st.sampled_from(written), max_size=6)) if written else []
    mixed = [*written, *again]
    random.Random(data.draw(st.integers(0, 2**32))).shuffle(mixed)
    cuts = data.draw(st.lists(st.integers(0, len(mixed)), max_size=4))
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(SqliteStore(Path(folder) / "store.db")) as store,  # a draw may end the example
    ):
        store.open()
        connection = store._connection
        assert connection is not None
        connection.execute("PRAGMA synchronous = OFF")
        begun = 0
        for cut in sorted({*cuts, len(mixed)}):
            assert store.write(mixed[begun:cut]) == {}
            begun = cut
            if data.draw(st.booleans()):
                sum_up(store)
        check(store)
        ids = [one.session_id for one in store.sessions(SessionQuery()).sessions]
        steps = [step for own in store.steps_of(ids[:1]).values() for step in own]
        store.forget(steps[:1])
        check(store)
        store.erase(ids[:1])
        check(store)
