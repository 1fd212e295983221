"""``sessions judge``: what reviewers say from the command line, and what the export shows of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.records import event, id_of, session_end, write

from sessiontrace.cli import main
from sessiontrace.model.ids import new_id
from sessiontrace.store.judging.history import Judgement
from sessiontrace.store.models import SessionQuery, SessionSummary
from sessiontrace.store.sqlite.store import SqliteStore


@pytest.fixture
def ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """A store with a session of one step."""
    path = tmp_path / "store.db"
    monkeypatch.setenv("SESSIONTRACE_STORE", str(path))
    sid = new_id()
    step = event(sid, event_name="ask")
    write(path, session_end(sid), step)
    return sid, id_of(step)


@pytest.fixture
def store(ids: tuple[str, str], tmp_path: Path):
    opened = SqliteStore(tmp_path / "store.db", read_only=True)
    yield opened
    opened.close()


def judge(*words: str, status: int = 0) -> None:
    assert main(("sessions", "judge", *words)) == status


def listed(store: SqliteStore) -> SessionSummary:
    return store.sessions(SessionQuery()).sessions[0]


def last(store: SqliteStore, session_id: str) -> Judgement:
    return store.judgements(session_id)[-1]


def test_a_session_is_scored_labelled_commented_and_reviewed(
    ids: tuple[str, str], store: SqliteStore
):
    """The list and the filters show it as if it had been judged on the page."""
    sid, _ = ids
    judge(sid, "--score", "helpful=0.8", "--comment", "polite", "--author", "ada")
    judge("last", "--label", "escalate", "--reviewed", "--author", "ada")
    judge(sid, "--comment", "Invents a number", "--author", "bob")
    summary = listed(store)
    assert summary.scores == {"helpful": 0.8}
    assert (list(summary.labels), summary.reviewed) == (["escalate"], "ada")
    assert last(store, sid).value == "Invents a number"
    score = next(own for own in store.judgements(sid) if own.kind == "score")
    assert (score.comment, score.author, score.source) == ("polite", "ada", "hand")


def test_judgements_are_taken_back_and_stay_in_the_history(
    ids: tuple[str, str], store: SqliteStore
):
    """An empty value, --no-label and --not-reviewed."""
    sid, _ = ids
    judge(sid, "--score", "helpful=1", "--label", "wrong", "--reviewed")
    judge(sid, "--score", "helpful=", "--no-label", "wrong", "--not-reviewed")
    summary = listed(store)
    assert summary.scores == {}
    assert (list(summary.labels), summary.reviewed) == ([], None)
    assert len(store.judgements(sid)) == 6


def test_a_step_is_judged_by_its_name(ids: tuple[str, str], store: SqliteStore):
    """As `sessions show --step` finds it."""
    sid, step = ids
    judge(sid, "--step", "ask", "--score", "tone=rude")
    assert (last(store, sid).event_id, last(store, sid).value) == (step, "rude")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ((), "say what to judge"),
        (("--score", "helpful"), "write NAME=VALUE"),
        (("--score", "=1"), "the name of a score or label is empty"),
        (("--score", "helpful=1e99"), "must be between"),
        (("--score", "helpful=nan"), "must be between"),
        (("--label", "x" * 201), "a name has more than 200 characters"),
        (("--step", "ask", "--reviewed"), "--reviewed is of a session"),
    ],
)
def test_what_cannot_be_stored_is_refused_with_the_reason(
    ids: tuple[str, str],
    store: SqliteStore,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    reason: str,
):
    """Nothing of the call is stored then."""
    judge(ids[0], *words, status=2)
    assert reason in capsys.readouterr().err
    assert store.judgements(ids[0]) == []


def test_the_page_of_an_export_shows_the_judgements(
    ids: tuple[str, str], capsys: pytest.CaptureFixture[str]
):
    """Who judged what, with the name of the step, and every text escaped."""
    sid, _ = ids
    judge(sid, "--score", "helpful=0.5", "--comment", "<b>too long</b>", "--author", "ada & bob")
    judge(sid, "--step", "ask", "--label", "wrong")
    capsys.readouterr()
    assert main(("export", sid, "--format", "html")) == 0
    html = capsys.readouterr().out
    for cell in (
        "helpful 0.5",
        "&lt;b&gt;too long&lt;/b&gt;",
        "ada &amp; bob",
        "ask",
        "label wrong",
    ):
        assert f"<td>{cell}</td>" in html
