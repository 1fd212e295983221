"""The bytes that leave the package, or stay on a disk, are those it wrote on the day of recording.

A change of names, of modules, of how things are done must not show in any of them. Where a change
is meant, ``python tests/golden.py --record`` records anew, and the difference of
``tests/golden_data`` shows a reviewer what it was.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from golden import DATA, REPO, difference, read
from golden_parts import read_back
from support.subprocesses import environment

pytestmark = pytest.mark.contract

NAMES = sorted(path.stem for path in DATA.glob("*.json"))


def recorded_now(home: Path, *options: str) -> Path:
    """A directory with what the package writes now."""
    directory = home / "now"
    done = subprocess.run(
        [sys.executable, REPO / "tests" / "golden.py", "--into", directory, *options],
        env=environment(home),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return directory


@pytest.fixture(scope="module")
def now(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recorded_now(tmp_path_factory.mktemp("golden"))


def test_every_part_is_compared(now: Path) -> None:
    """A part that was renamed, or never recorded, would be compared with nothing."""
    assert sorted(path.stem for path in now.glob("*.json")) == NAMES
    assert sum(path.stat().st_size for path in DATA.iterdir()) < 400_000


@pytest.mark.parametrize("name", NAMES)
def test_the_bytes_are_those_of_the_recording(now: Path, name: str) -> None:
    """Requests, headers, records, segments, cursors, tables, answers of the page."""
    changed = difference(read(DATA, name), read(now, name))
    assert not changed, f"{name}:\n{changed}"


def test_the_uncompiled_forms_write_the_same_bytes(tmp_path: Path) -> None:
    """Where no C compiler was at hand: not a byte differs in capture and spool."""
    now = recorded_now(tmp_path, "--pure")
    for name in ("capture", "spool"):
        changed = difference(read(DATA, name), read(now, name))
        assert not changed, f"{name}:\n{changed}"


@pytest.mark.parametrize("io", ["write", "map"])
def test_a_spool_of_that_day_is_read_today(tmp_path: Path, io: str) -> None:
    """A program was killed before the upgrade: the next one delivers what it left, from where its
    cursors stand, and ends the session that was open.
    """
    spool = read(DATA, "spool")[io]
    assert read_back(tmp_path / "spool", spool["directory"], spool["files"]) == spool["read back"]
