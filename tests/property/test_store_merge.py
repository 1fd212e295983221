"""Whatever order records come in, and however often, a store shows the same sessions."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from stored import (
    T0,
    event,
    id_of,
    session_abandoned,
    session_end,
    session_open,
    session_start,
    update,
)

from sessiontrace.ids import new_id
from sessiontrace.record import Record
from sessiontrace.store.base import SessionQuery
from sessiontrace.store.sqlite import SqliteStore

times = st.integers(0, 5_000)
costs = st.integers(0, 97).map(lambda part: part / 97)  # whose sums depend on their order
names = st.sampled_from(["plan", "look_up", "answer"])


@st.composite
def steps(draw: st.DrawFn, sid: str, parent: str, base: int) -> list[Record]:
    """A few events under ``parent``, and scores of them under keys of their own."""
    made: list[Record] = []
    for number in range(draw(st.integers(0, 4))):
        step = event(
            sid,
            base + draw(times),
            draw(times),
            parent_id=parent,
            event_name=draw(names),
            event_type=draw(st.sampled_from(["chain", "tool", "model"])),
            error=draw(st.sampled_from([None, "boom"])),
            metadata={"total_tokens": draw(times), "cost": draw(costs)},
        )
        made.append(step)
        if draw(st.booleans()):
            made.append(update(id_of(step), sid, metrics={f"score{number}": draw(times)}))
    return made


@st.composite
def histories(draw: st.DrawFn) -> list[Record]:
    """The records of one session, plain or a conversation, ended, open or abandoned."""
    sid = new_id()
    turns = [new_id() for _ in range(draw(st.integers(0, 3)))]
    made: list[Record] = []
    for at, turn in enumerate(turns or [sid]):
        base = T0 + at * 7_000
        about: dict[str, Any] = {
            "event_id": turn,
            "user_properties": {"user_id": f"user {at}"},
            "event_name": f"name {at}",
        }
        start = session_start(sid, base, **about)
        made += [start, session_open(sid, base, **about)]
        made += draw(steps(sid, turn, base))
        ends = draw(st.sampled_from(["open", "ended", "abandoned", "both"]))
        if ends in ("abandoned", "both"):
            made.append(session_abandoned(start, base + draw(times)))
        if ends in ("ended", "both"):
            made.append(session_end(sid, base, draw(times), outputs={"n": at}, **about))
    if draw(st.booleans()):
        made.append(update(sid, sid, feedback={"rating": 5}))
    if draw(st.integers(0, 5)) == 0:  # its start never comes
        made = [one for one in made if one.kind not in (b"start", b"open")]
    return made


def rows(records: list[Record], cuts: list[int]) -> Any:
    """All that a store shows after these records, written in batches that end at ``cuts``."""
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / "store.db")
        store.open()
        connection = store._connection
        assert connection is not None
        connection.execute("PRAGMA synchronous = OFF")
        begun = 0
        for cut in sorted({*cuts, len(records)}):
            assert store.write(records[begun:cut]) == {}
            begun = cut
        found = store.sessions(SessionQuery()).sessions
        shown = [store.session(one.session_id) for one in found]
        whole = [store.event(step.event_id) for one in shown if one for step in one.events]
        store.close()
    return found, shown, whole


@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_any_order_with_repetitions_gives_the_same_rows(data: st.DataObject):
    """Delivery is at least once and batches are retried, so records come twice and late."""
    history = data.draw(histories())
    again = data.draw(st.lists(st.sampled_from(history), max_size=6)) if history else []
    mixed = [*history, *again]
    random.Random(data.draw(st.integers(0, 2**32))).shuffle(mixed)
    cuts = data.draw(st.lists(st.integers(0, len(mixed)), max_size=4))
    assert rows(mixed, cuts) == rows(history, [])


@settings(max_examples=30, deadline=None)
@given(
    values=st.lists(st.integers(-(2**53), 2**53), min_size=1, max_size=6), back=st.integers(0, 6)
)
def test_redelivery_from_an_older_cursor_ends_with_the_latest_score(values: list[int], back: int):
    """Updates of one key are in order of arrival; a cursor that moved back repeats a whole tail."""
    sid = new_id()
    step = event(sid)
    scores = [update(id_of(step), sid, metrics={"helpful": value}) for value in values]
    _, _, (shown,) = rows([step, *scores, *scores[-back:]], [1])
    assert shown["metrics"] == {"helpful": values[-1]}
