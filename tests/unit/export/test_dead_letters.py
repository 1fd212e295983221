"""Dead letters: what no backend will ever take."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import orjson
import pytest
from support.lane_harness import event

from sessiontrace.export.dead_letters import DeadLetters
from sessiontrace.runtime import log
from sessiontrace.spool.filesystem import Files


def test_a_dead_letter_says_what_why_and_where_to(tmp_path: Path) -> None:
    """One line of JSON with the record as it was; only its owner may read it."""
    dead = DeadLetters(tmp_path / "dead")
    assert not dead.root.exists(), "nothing is made before the first letter"
    assert dead.put("there", event(7), "HTTP 400: no such field")
    assert dead.put("there", event(8), "x" * 10_000)
    first, second = (dead.root / "there.jsonl").read_bytes().splitlines()
    letter = orjson.loads(first)
    assert letter["record"] == orjson.loads(event(7).body)
    assert (letter["destination"], letter["kind"]) == ("there", "event")
    assert letter["reason"] == "HTTP 400: no such field"
    assert letter["at"] > 1_700_000_000_000
    assert len(orjson.loads(second)["reason"]) == 500
    assert stat.S_IMODE(dead.root.stat().st_mode) == 0o700
    assert stat.S_IMODE((dead.root / "there.jsonl").stat().st_mode) == 0o600


def test_A21_they_never_take_more_than_two_files(tmp_path: Path) -> None:
    """A backend that rejects for weeks must not fill the disk."""
    dead = DeadLetters(tmp_path, max_bytes=10_000)
    for n in range(300):
        dead.put("there", event(n), "no")
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["there.jsonl", "there.old.jsonl"]
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 21_000
    last = (tmp_path / "there.jsonl").read_bytes().splitlines()[-1]
    assert orjson.loads(last)["record"] == orjson.loads(event(299).body)


def test_a_planted_link_is_not_followed(tmp_path: Path) -> None:
    """Somebody points our file at theirs: nothing is written through it."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / "there.jsonl").symlink_to(victim)
    log.reset()
    assert not DeadLetters(tmp_path).put("there", event(1), "no")
    assert victim.read_bytes() == b"precious"


def test_a_directory_that_cannot_be_made_is_told_and_no_more(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The record is counted as rejected anyway; the lane goes on."""
    (tmp_path / "file").write_bytes(b"")
    log.reset()
    assert not DeadLetters(tmp_path / "file" / "dead").put("there", event(1), "no")
    assert "dead letter" in caplog.text


@pytest.mark.parametrize("umask", [0, 0o077])
def test_A32_dead_letters_are_private_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    """They hold prompts: no directory that is made for them, and no file, is anyone else's."""
    dead = DeadLetters(tmp_path / "new" / "spool" / "dead")
    before = os.umask(umask)
    try:
        assert dead.put("there", event(1), "no")
    finally:
        os.umask(before)
    for path in (dead.root, *dead.root.parents[:2]):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert stat.S_IMODE((dead.root / "there.jsonl").stat().st_mode) == 0o600


def test_A32_a_directory_that_others_can_change_gets_no_dead_letter(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another user's directory, one that all can write, and a link: a line says what to do."""
    cases = {
        "mine": lambda path: path.mkdir(mode=0o700),
        "open": lambda path: (path.mkdir(), path.chmod(0o777)),
        "link": lambda path: path.symlink_to(tmp_path / "mine", target_is_directory=True),
    }
    for name, make in cases.items():
        make(tmp_path / name)
        log.reset()
        assert DeadLetters(tmp_path / name).put("there", event(1), "no") == (name == "mine")
    monkeypatch.setattr(Files, "owned", lambda self, status: False)
    log.reset()
    assert not DeadLetters(tmp_path / "mine").put("there", event(1), "no")
    assert "chmod go-w" in caplog.text
    assert "symbolic link" in caplog.text
    assert "belongs to another user" in caplog.text
    assert "SESSIONTRACE_SPOOL" in caplog.text
