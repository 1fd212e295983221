"""A dashboard's figures: the same in SQLite and in ClickHouse, and those of a count by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from support.records import T0, event, id_of, session_end, session_start, update

from sessiontrace.model.ids import new_id
from sessiontrace.model.record import Record
from sessiontrace.store.dashboard.models import DIMENSIONS, Figures, Group, Period
from sessiontrace.store.models import SessionQuery
from sessiontrace.store.protocol import Store
from sessiontrace.store.query.parser import parse

pytestmark = pytest.mark.timeout(240)  # an engine, on a machine that is busy

HOUR = 3_600_000
NOW = T0 + 24 * HOUR
DAY = Period.of(T0, NOW, NOW)


def call(session_id: str, at: int, model: str, took: int = 200, **more: Any) -> Record:
    """A model call of 100 tokens that cost a quarter of a dollar."""
    fields: dict[str, Any] = {
        "event_type": "model", "config": {"model": model},
        "metadata": {"total_tokens": 100, "cost": 0.25},
    }  # fmt: skip
    return event(session_id, at, took, **(fields | more))


def fill(store: Store) -> dict[str, str]:
    """A day of four sessions, two of one name and user, and one of the day before."""
    ids = {name: new_id() for name in ("shop", "again", "fails", "live", "before")}
    ada = {"user_properties": {"user_id": "ada"}, "event_name": "shop"}
    streamed = {"metrics": {"time_to_first_chunk_ms": 40.5}}
    unpriced = {"metadata": {"total_tokens": 10}}
    store.write(
        [
            session_end(ids["shop"], T0 + HOUR, 1_000, **ada, metadata={"tags": ["vip", "EU"]}),
            call(ids["shop"], T0 + HOUR, "gpt-5", 300, **streamed),
            call(ids["shop"], T0 + HOUR, "mini", 100),
            session_end(ids["again"], T0 + 2 * HOUR, 3_000, **ada, metadata={"tags": ["vip"]}),
            call(ids["again"], T0 + 2 * HOUR, "gpt-5", 500, error="RateLimitError: 429"),
            session_end(ids["fails"], T0 + 2 * HOUR, 9_000, source="staging", error="KeyError: 1"),
            call(ids["fails"], T0 + 2 * HOUR, "mini", 50, **unpriced),
            event(ids["fails"], T0 + 2 * HOUR),
            session_start(ids["live"], T0 + 5 * HOUR, event_name="live"),
            session_end(ids["before"], T0 - HOUR, 500, **ada),
            call(ids["before"], T0 - HOUR, "gpt-5", 700, **streamed),
        ]
    )  # fmt: skip
    return ids


def total(store: Store, query: str = "") -> Figures:
    return store.dashboard(SessionQuery(terms=parse(query, NOW)), DAY).total


def groups(store: Store, by: str, query: str = "") -> dict[str | None, Group]:
    values = store.breakdown(SessionQuery(terms=parse(query, NOW)), DAY, by).groups
    assert len({group.value for group in values}) == len(values)
    return {group.value: group for group in values}


def test_the_figures_of_a_day_are_those_of_its_sessions(store: Store):
    """Every session counts once, where it was last active, with all of its steps; the day before
    has figures of its own.
    """
    fill(store)
    dashboard = store.dashboard(SessionQuery(), DAY)
    assert dashboard.total == Figures(
        sessions=4, failed=2, steps=5, errors=1, calls=4, tokens=310, cost_nano=750_000_000,
        unpriced=1, latency=(3_000.0, 9_000.0, 9_000.0), first_chunk=(40.5, 40.5, 40.5),
    )  # fmt: skip
    assert dashboard.before == Figures(
        sessions=1, steps=1, calls=1, tokens=100, cost_nano=250_000_000,
        latency=(500.0, 500.0, 500.0), first_chunk=(40.5, 40.5, 40.5),
    )  # fmt: skip
    by_hour = {at: point for at, point in enumerate(dashboard.points) if point.sessions}
    steps = [(T0 + hour * HOUR - DAY.start) // DAY.width for hour in (1, 2, 5)]
    assert list(by_hour) == steps
    assert [point.sessions for point in by_hour.values()] == [1, 2, 1]
    assert [point.errors for point in by_hour.values()] == [0, 1, 0]
    assert by_hour[steps[1]].latency == (9_000.0, 9_000.0, 9_000.0)
    assert by_hour[steps[2]].latency == (0.0, 0.0, 0.0)


def test_a_model_has_the_figures_of_its_calls(store: Store):
    """A session counts for each model that it called; latencies are those of the calls."""
    fill(store)
    models = groups(store, "model")
    assert models["gpt-5"].figures == Figures(
        sessions=2, failed=1, steps=2, errors=1, calls=2, tokens=200, cost_nano=500_000_000,
        latency=(500.0, 500.0, 500.0), first_chunk=(40.5, 40.5, 40.5),
    )  # fmt: skip
    assert models["mini"].figures == Figures(
        sessions=2, steps=2, calls=2, tokens=110, cost_nano=250_000_000, unpriced=1,
        latency=(100.0, 100.0, 100.0),
    )  # fmt: skip
    assert models["gpt-5"].before.latency == (700.0, 700.0, 700.0)
    assert set(models) == {"gpt-5", "mini"}


def test_names_users_sources_and_tags_have_the_figures_of_their_sessions(store: Store):
    """What a session lacks is a group too; with two tags it is in two."""
    fill(store)
    sessions = {
        by: {value: group.figures.sessions for value, group in groups(store, by).items()}
        for by in DIMENSIONS[1:]
    }
    assert sessions == {
        "name": {"shop": 2, "chat": 1, "live": 1},
        "user": {"ada": 2, None: 2},
        "source": {"tests": 3, "staging": 1},
        "tag": {"vip": 2, "eu": 1, None: 2},
    }
    ada = groups(store, "user")["ada"]
    assert ada.figures.latency == (3_000.0, 3_000.0, 3_000.0)
    assert (ada.figures.cost_nano, ada.before.cost_nano) == (750_000_000, 250_000_000)


@pytest.mark.parametrize(
    ("query", "sessions", "cost"),
    [
        ("", 4, 0.75), ("user:ada", 2, 0.75), ("-user:*", 2, 0), ("tag:vip model:mini", 1, 0.5),
        ("status:failed", 1, 0), ("duration:>=3s", 2, 0.25), ("name:absent", 0, 0),
    ],
)  # fmt: skip
def test_a_dashboard_counts_what_the_list_shows(
    store: Store, query: str, sessions: int, cost: float
):
    """Each filter of the list filters the figures, in total and by model."""
    fill(store)
    totals = total(store, query)
    assert (totals.sessions, totals.cost_nano / 1e9) == (sessions, cost)
    summaries = store.sessions(
        SessionQuery(terms=parse(query, NOW), since=DAY.since, until=DAY.until)
    ).sessions
    assert len(summaries) == sessions
    costs = [group.figures.cost_nano for group in groups(store, "model", query).values()]
    assert sum(costs) == totals.cost_nano


def test_what_arrives_twice_or_changes_late_counts_once(store: Store):
    """Records come again, a call gets its cost and its model, a session its user: the figures are
    those of the last state.
    """
    ids = fill(store)
    sid = ids["fails"]
    late = call(sid, T0 + 3 * HOUR, "", 10, config={}, metadata={"total_tokens": 5})
    store.write([late, late])
    store.write([late, session_end(sid, T0 + 2 * HOUR, 9_000, source="staging", error="KeyError")])
    assert total(store).unpriced == 2
    changes = {"metadata": {"cost": 0.5}, "config": {"model": "gpt-5"}}
    store.write([update(id_of(late), sid, **changes), update(sid, sid, feedback={"good": True})])
    store.write([update(sid, sid, user_properties={"user_id": "grace"})])
    totals = total(store)
    assert (totals.sessions, totals.steps, totals.unpriced) == (4, 6, 1)
    assert totals.cost_nano == 1_250_000_000
    gpt = groups(store, "model")["gpt-5"].figures
    assert (gpt.sessions, gpt.calls, gpt.cost_nano) == (3, 3, 1_000_000_000)
    assert set(groups(store, "model")) == {"gpt-5", "mini"}
    assert groups(store, "user")["grace"].figures.sessions == 1


def test_deleted_sessions_and_events_are_in_no_figure(store: Store):
    """Erasing a session, and forgetting an event, takes their shares out of every figure."""
    ids = fill(store)
    store.erase([ids["again"]])
    assert total(store).cost_nano == 500_000_000
    assert groups(store, "model")["gpt-5"].figures.calls == 1
    steps = store.steps_of([ids["shop"]])[ids["shop"]]
    store.forget([step for step in steps if step != ids["shop"]])
    assert total(store).cost_nano == 0
    assert total(store).first_chunk is None
    assert set(groups(store, "model")) == {"mini", "gpt-5"}
    assert groups(store, "model")["gpt-5"].figures == Figures()


@pytest.mark.parametrize(
    ("since", "until"), [(0, 1 << 53), (T0, T0), (T0 + HOUR, T0 - HOUR), (NOW + HOUR, NOW + 2)]
)
def test_any_bounds_of_time_have_an_answer(store: Store, since: int, until: int):
    """A reader's clock and address may say anything: the steps stay few, and cover the period."""
    fill(store)
    period = Period.of(since, until, NOW, 14 * HOUR)
    assert 1 <= period.count <= 64
    assert period.before <= period.since < period.until
    dashboard = store.dashboard(SessionQuery(), period)
    assert sum(point.sessions for point in dashboard.points) == dashboard.total.sessions
    assert store.breakdown(SessionQuery(), period, "tag").groups is not None


def brute(values: Iterable[float]) -> tuple[float, ...] | None:
    """The percentiles of values, counted one by one."""
    ordered: Sequence[float] = sorted(values)
    return tuple(ordered[int(q * len(ordered))] for q in (0.5, 0.95, 0.99)) if ordered else None


def test_percentiles_are_exact(store: Store):
    """150 sessions of uneven lengths have the percentiles of their sorted durations."""
    lengths = [float(n * n % 4_099) for n in range(1, 151)]
    store.write([session_end(new_id(), T0 + n, int(took)) for n, took in enumerate(lengths)])
    assert total(store).latency == brute(lengths)
