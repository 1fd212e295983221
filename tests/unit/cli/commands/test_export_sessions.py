"""``sessiontrace sessions export``: what a query finds, one session on each line."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner
from support.records import session_end, write

from sessiontrace.cli.commands.export_sessions import command
from sessiontrace.model.ids import new_id


def test_the_lines_are_what_the_query_finds(tmp_path: Path) -> None:
    """To stdout, or to a file that its owner alone reads; then their number is said."""
    db, file = tmp_path / "store.db", tmp_path / "out.jsonl"
    ids = [new_id(), new_id()]
    write(db, session_end(ids[0], error="E: x", metrics={"quality": 1}), session_end(ids[1]))
    run = CliRunner().invoke(command, ["status:failed", "--db", str(db)])
    assert run.exit_code == 0
    assert run.output.endswith("1 session\n")
    line = json.loads(run.stdout.splitlines()[0])
    assert line["summary"]["session_id"] == ids[0]
    assert [judgement["name"] for judgement in line["judgements"]] == ["quality"]
    run = CliRunner().invoke(command, ["--db", str(db), "-o", str(file)])
    assert (run.exit_code, run.output) == (0, "2 sessions\n")
    assert len(file.read_text().splitlines()) == 2
    run = CliRunner().invoke(command, ["--id", ids[1], "--db", str(db)])
    assert json.loads(run.stdout.splitlines()[0])["summary"]["session_id"] == ids[1]
