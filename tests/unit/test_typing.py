"""What type checkers see of the API: the right program passes, each mistake is found."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent.parent / "typing"
REPO = HERE.parent.parent

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def checked(command: list[str], cwd: Path) -> tuple[int, str]:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def mypy(name: str, room: Path) -> tuple[int, str]:
    pytest.importorskip("mypy")
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={room}"]
    return checked([*command, "--follow-imports=silent", str(HERE / name)], REPO)


def pyright(name: str, room: Path) -> tuple[int, str]:
    """Strict as well, on the oldest Python; a copy, since it checks nothing in hidden folders."""
    beside = Path(sys.prefix) / "node_modules" / ".bin" / "pyright"
    found = str(beside) if beside.exists() else shutil.which("pyright")
    if found is None:
        pytest.skip('pyright is not there: npm install --prefix "$VIRTUAL_ENV" pyright')
    shutil.copy(HERE / name, room / name)
    settings = {
        "include": [name],
        "typeCheckingMode": "strict",
        "pythonVersion": "3.10",
        "extraPaths": [str(REPO)],
    }
    (room / "pyrightconfig.json").write_text(json.dumps(settings))
    return checked([found, "--project", str(room), "--pythonpath", sys.executable], room)


checkers = pytest.mark.parametrize("checker", [mypy, pyright], ids=lambda one: str(one.__name__))
Checker = Callable[[str, Path], "tuple[int, str]"]


@checkers
def test_the_right_program_is_accepted_and_its_types_are_exact(
    tmp_path: Path, checker: Checker
) -> None:
    """Decorated functions keep their parameters and results, streams their items."""
    code, out = checker("right.py", tmp_path)
    assert code == 0, out


@checkers
def test_every_mistake_of_the_wrong_program_is_found(tmp_path: Path, checker: Checker) -> None:
    """And nothing else is called one."""
    lines = (HERE / "wrong.py").read_text().splitlines()
    expected = {number for number, line in enumerate(lines, 1) if line.endswith("# error")}
    _, out = checker("wrong.py", tmp_path)
    found = {int(number) for number in re.findall(r"wrong\.py:(\d+):(?:\d+ -)? error", out)}
    assert found == expected, out
