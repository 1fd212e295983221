"""What type checkers see of the API: the right program passes, each mistake is found."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent.parent / "typing"
REPO = HERE.parent.parent


def mypy(name: str, cache: Path) -> tuple[int, str]:
    pytest.importorskip("mypy")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={cache}",
         "--follow-imports=silent", str(HERE / name)],
        cwd=REPO, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_right_program_is_accepted_and_its_types_are_exact(tmp_path: Path) -> None:
    """Decorated functions keep their parameters and results, streams their items."""
    code, out = mypy("right.py", tmp_path)
    assert code == 0, out


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_mistake_of_the_wrong_program_is_found(tmp_path: Path) -> None:
    """And nothing else is called one."""
    lines = (HERE / "wrong.py").read_text().splitlines()
    expected = {number for number, line in enumerate(lines, 1) if line.endswith("# error")}
    _, out = mypy("wrong.py", tmp_path)
    found = {int(number) for number in re.findall(r"wrong\.py:(\d+): error", out)}
    assert found == expected, out
