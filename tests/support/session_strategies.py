"""Random histories of a session, as Hypothesis draws them, for the tests of every store."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from support.records import (
    T0,
    event,
    id_of,
    session_abandoned,
    session_end,
    session_open,
    session_start,
    update,
)

from sessiontrace.model.ids import new_id
from sessiontrace.model.record import Record

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
            event_type=draw(st.sampled_from(["chain", "tool", "model", "embedding"])),
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
