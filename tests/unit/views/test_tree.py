"""A session as a tree in the terminal, and what a hostile record can do to it: nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from rich.console import Console
from support.records import T0, event, id_of, session_end, write

from sessiontrace.model.ids import new_id
from sessiontrace.store.models import StoredSession
from sessiontrace.store.sqlite.store import SqliteStore
from sessiontrace.text.format import duration, printable, short_ids
from sessiontrace.views.tree import render_session, render_text


def stored(tmp_path: Path, sid: str, *records) -> StoredSession:
    write(tmp_path / "store.db", *records)
    store = SqliteStore(tmp_path / "store.db", read_only=True)
    found = store.session(sid)
    store.close()
    assert found is not None
    return found


def rich_text(session: StoredSession) -> str:
    console = Console(width=160, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(render_session(session), highlight=False)
    console.file.close()
    return console.export_text()


def test_parents_children_error_and_retry_line_up(tmp_path: Path):
    """What the quickstart prints: the shape of the agent, at a glance."""
    sid = new_id()
    plan = event(sid, T0, 600, event_type="chain", event_name="plan")
    think = event(sid, T0 + 5, 500, parent_id=id_of(plan), event_type="model", event_name="think",
                  metadata={"total_tokens": 120})  # fmt: skip
    first = event(sid, T0 + 700, 50, event_name="fetch", error="TimeoutError: no answer")
    again = event(sid, T0 + 800, 9, event_name="fetch")
    found = stored(tmp_path, sid, session_end(sid, took=1500), again, think, first, plan)
    head, *lines = render_text(found).split("\n")
    assert head.startswith("chat  1.50 s · ended · 4 steps · 1 error · 120 tokens · unpriced · ")
    assert lines == [
        "├── plan       chain        600 ms",
        "│   └── think  model        500 ms  120 tokens · unpriced",
        "├── fetch      tool          50 ms  ✗ TimeoutError: no answer",
        "└── fetch      tool         9.0 ms",
    ]
    drawn = [line.rstrip() for line in rich_text(found).split("\n")]
    assert drawn[1:5] == lines


def test_every_step_is_shown_once_whatever_its_parent_says(tmp_path: Path):
    """Parents that never arrived, that are the step itself, or that form a ring."""
    sid = new_id()
    a, b = new_id(), new_id()
    found = stored(
        tmp_path,
        sid,
        event(sid, T0, event_name="lost", parent_id=new_id()),
        event(sid, T0 + 1, event_name="own-parent", event_id=(own := new_id()), parent_id=own),
        event(sid, T0 + 2, event_name="ring-a", event_id=a, parent_id=b),
        event(sid, T0 + 3, event_name="ring-b", event_id=b, parent_id=a),
        event(sid, T0 + 4, event_name="below", parent_id=a),
    )
    for text in (render_text(found), rich_text(found)):
        for name in ("lost", "own-parent", "ring-a", "ring-b", "below"):
            assert text.count(f"{name} ") == 1, name
        assert text.count("its parent is missing") == 4


def test_control_characters_do_not_reach_the_terminal(tmp_path: Path):
    """A prompt may hold escape sequences; printed raw they retitle, clear or forge the screen."""
    sid = new_id()
    evil = "a\x1b[2Jb\x07c\nd\u202ee\x9b"
    found = stored(
        tmp_path,
        sid,
        session_end(sid, event_name=evil, error=evil, user_properties={"user_id": evil}),
        event(sid, event_name=evil, error=evil),
    )
    for text in (render_text(found), rich_text(found)):
        assert not set(text) & set("\x1b\x07\u202e\x9b")
        assert "\\x1b[2Jb\\x07c\\nd\\u202ee\\x9b" in text


def test_a_deep_tree_is_no_problem(tmp_path: Path):
    """A recursive agent may nest further than Python does."""
    sid = new_id()
    parent, records = sid, []
    for depth in range(1500):
        records.append(event(sid, T0 + depth, parent_id=parent))
        parent = id_of(records[-1])
    text = render_text(stored(tmp_path, sid, *records))
    assert text.count("look_up") == 1500


@pytest.mark.parametrize(
    ("ms", "expected"),
    [
        (None, "-"), (0, "0.0 ms"), (0.04, "0.0 ms"), (9.94, "9.9 ms"), (9.96, "10 ms"),
        (999.4, "999 ms"), (999.6, "1.00 s"), (9994, "9.99 s"), (9996, "10.0 s"),
        (59_900, "59.9 s"), (59_999, "1 min 00 s"), (3_599_600, "1 h 00 min"),
    ],
)  # fmt: skip
def test_durations_read_well_at_the_seams(ms: float | None, expected: str):
    """No "60.0 s", no "1000 ms"."""
    assert duration(ms) == expected


def test_short_ids_are_as_long_as_they_must_be():
    """Ids made in the same millisecond share their first 13 characters."""
    ids = [new_id(T0 * 10**6) for _ in range(20)]
    short = short_ids(ids)
    assert len(set(short.values())) == 20
    assert short_ids(ids[:1]) == {ids[0]: ids[0][:13]}


def test_a_cut_text_says_so():
    """A name of a megabyte stays on its line."""
    assert printable("x" * 100, 10) == "x" * 9 + "…"


@pytest.mark.parametrize("width", [60, 80, 120, 200])
@pytest.mark.parametrize("levels", [1, 3, 9, 14, 60])
def test_E26_a_step_is_one_line_that_fits_at_any_depth(tmp_path: Path, width: int, levels: int):
    """Eighty columns and a nested agent: no word is broken, and every step can be told by its
    name or its number; an error is whole, on lines of its own."""
    sid = new_id()
    parent, records = sid, []
    for depth in range(levels):
        records.append(
            event(sid, T0 + depth, parent_id=parent, event_name=f"level {depth} of the agent",
                  event_type="chain", metadata={"total_tokens": 120, "cost": 0.02},
                  error="ValueError: " + "long " * 20 if depth == levels - 1 else None)
        )  # fmt: skip
        parent = id_of(records[-1])
    found = stored(tmp_path, sid, session_end(sid), *records)
    lines = render_text(found, width).split("\n")[1:]
    steps = [line for line in lines if " chain " in line]
    assert len(steps) == levels
    assert all(len(line) <= width for line in lines)
    assert all(f"level {n} of" in line or f"…{n + 1} lev" in line for n, line in enumerate(steps))
    assert all("100 ms" in line for line in steps)
    error = " ".join(re.sub(r"^[│ ]*(…\d+ )?", "", line) for line in lines[levels - 1 :])
    assert ("ValueError: " + "long " * 20).strip() in error
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(render_session(found), highlight=False)
    console.file.close()
    drawn = [line.rstrip() for line in console.export_text().split("\n")]
    assert [line for line in drawn if " chain " in line] == steps
