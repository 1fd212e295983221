"""What type checkers see of the API: the right program passes, each mistake is found."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BOTH = ["right.py", "wrong.py"]
HERE = Path(__file__).resolve().parent.parent / "typing"
REPO = HERE.parent.parent

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def checked(command: list[str], cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def mypy(room: Path) -> str:
    pytest.importorskip("mypy")
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={room}"]
    return checked([*command, "--follow-imports=silent", *(str(HERE / one) for one in BOTH)], REPO)


def pyright(room: Path) -> str:
    """Strict as well, on the oldest Python; copies, since it checks nothing in hidden folders."""
    beside = HERE.parents[1] / "node_modules" / ".bin" / "pyright"
    found = str(beside) if beside.exists() else shutil.which("pyright")
    if found is None:
        pytest.skip("pyright is not there: make node_modules/.installed")
    for name in BOTH:
        shutil.copy(HERE / name, room / name)
    settings = {
        "include": BOTH,
        "typeCheckingMode": "strict",
        "pythonVersion": "3.10",
        "extraPaths": [str(REPO)],
    }
    (room / "pyrightconfig.json").write_text(json.dumps(settings))
    return checked([found, "--project", str(room), "--pythonpath", sys.executable], room)


@pytest.fixture(scope="module", params=[mypy, pyright], ids=lambda one: str(one.__name__))
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a checker says of both programs: it reads all of the package either way."""
    return str(request.param(tmp_path_factory.mktemp("typing")))


def errors(told: str, name: str) -> set[int]:
    return {int(line) for line in re.findall(rf"{name}:(\d+):(?:\d+ -)? error", told)}


def test_the_right_program_is_accepted_and_its_types_are_exact(told: str) -> None:
    """Decorated functions keep their parameters and results, streams their items."""
    assert "wrong.py" in told, "the checker has looked"
    assert errors(told, "right.py") == set(), told


def test_every_mistake_of_the_wrong_program_is_found(told: str) -> None:
    """And nothing else is called one."""
    lines = (HERE / "wrong.py").read_text().splitlines()
    expected = {number for number, line in enumerate(lines, 1) if line.endswith("# error")}
    assert errors(told, "wrong.py") == expected
