"""``sessiontrace export``: a file that another store can read back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from golden_program import Taped
from golden_spans import agent_run, conversation, failure, records_of

from sessiontrace.cli.commands.export import command
from sessiontrace.server.apis.otlp.mapping import convert
from sessiontrace.store.models import SessionQuery
from sessiontrace.store.sqlite.store import SqliteStore
from sessiontrace.wire.otlp_json_reader import from_json


@pytest.mark.parametrize("scene", [conversation, agent_run, failure], ids=lambda one: one.__name__)
def test_a_session_that_was_exported_as_otlp_is_the_same_in_another_store(
    scene: Callable[[Taped], None], tmp_path: Path
) -> None:
    """A session for a colleague: turns, nanoseconds, agents, errors and their causes."""
    here, there = SqliteStore(tmp_path / "here.db"), SqliteStore(tmp_path / "there.db")
    here.write(records_of(scene))
    (summary,) = here.sessions(SessionQuery()).sessions
    run = CliRunner().invoke(
        command, [summary.session_id, "--db", str(tmp_path / "here.db"), "--format", "otlp"]
    )
    assert run.exit_code == 0, run.output
    spans, invalid = from_json(json.loads(run.output))
    assert invalid == 0
    converted = convert(spans)
    there.write([*converted.sessions.values(), *converted.records])
    stored = here.session(summary.session_id)
    assert stored is not None
    assert stored == there.session(summary.session_id)
    for event in stored.events:
        assert here.record(event.event_id) == there.record(event.event_id)
    here.close()
    there.close()
