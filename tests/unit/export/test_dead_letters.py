"""Dead letters: what no backend will ever take."""

from __future__ import annotations

import stat
from pathlib import Path

import orjson
import pytest
from support.lane_harness import event

from sessiontrace.export.dead_letters import DeadLetters
from sessiontrace.runtime import log


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
