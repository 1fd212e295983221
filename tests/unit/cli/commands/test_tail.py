"""``tail``: what it prints, and that it prints nothing of before."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from support.records import T0, event, session_end, session_start, write

from sessiontrace.cli import main
from sessiontrace.model.ids import new_id


@pytest.fixture
def tail(monkeypatch: pytest.MonkeyPatch, capsys) -> Callable[..., list[tuple[str, str]]]:
    """Runs ``tail`` and does one thing after each of its looks; kinds and names of its lines."""

    def run(db: Path, *writes: Callable[[], None]) -> list[tuple[str, str]]:
        pending = list(writes)

        def sleep(seconds: float) -> None:
            if not pending:
                raise KeyboardInterrupt
            pending.pop(0)()

        monkeypatch.setattr("time.sleep", sleep)
        assert main(["tail", "--db", str(db), "--json"]) == 0
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        return [(line["kind"], line["name"]) for line in lines]

    return run


def test_E25_a_late_step_ends_or_opens_no_session_once_more(tmp_path: Path, tail):
    """A session that ended yesterday, and one that began before: a line for the step alone."""
    db, ended, going = tmp_path / "store.db", new_id(), new_id()
    write(db, session_end(ended, error="E: no"), session_start(going, T0, event_name="going"))
    lines = tail(
        db,
        lambda: write(db, event(ended, event_name="late")),
        lambda: write(db, event(going, event_name="step")),
        lambda: write(db, session_end(going, event_name="going")),
        lambda: None,
    )
    assert lines == [("event", "late"), ("event", "step"), ("session", "going")]
