"""The tests with the oldest versions that ``pyproject.toml`` allows, on the oldest Python.

Makes ``.venv/floors`` with uv: the direct dependencies and those of the extras in their lowest
versions, and the newest test tools that fit beside them. The program ends with the status of the
tests, or with a message where uv or the Python is missing.

ClickHouse's client is there, and what the store calls of it is tested. The tests of the store in an
engine need ``chdb``, of 0.9 GB, and run in the main environment, with the client's newest version.

    python tools/floors.py [PYTEST_ARGUMENTS]...
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from pythons import VERSIONS, find

REPO = Path(__file__).resolve().parent.parent
PLACE = REPO / ".venv" / "floors"
TESTS = ("tests/unit", "tests/property", "tests/server")
LEFT_OUT = ("tests/unit/test_typing.py", "tests/unit/test_benchmarks.py")  # of tools, not of these


def uv() -> str:
    """The path of uv, which ``make`` installs with the test tools."""
    beside = Path(sys.executable).with_name("uv")
    path = str(beside) if beside.exists() else shutil.which("uv")
    if path is None:
        sys.exit("uv is not installed; run `make floors`")
    return path


def make(python: str) -> str:
    """Make or update the environment; returns its interpreter."""
    command, own = uv(), str(PLACE / "bin" / "python")
    floors = PLACE / "floors.txt"
    if not Path(own).exists():
        subprocess.run([command, "venv", "--quiet", "--python", python, str(PLACE)], check=True)
    subprocess.run(
        [command, "pip", "compile", "--quiet", "--python", own, "--resolution", "lowest-direct",
         "--extra", "cli", "--extra", "clickhouse", "--output-file", str(floors), "pyproject.toml"],
        cwd=REPO, check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    subprocess.run(
        [command, "pip", "install", "--quiet", "--python", own, "--constraint", str(floors),
         "--editable", ".[cli,clickhouse]", "--group", "dev"],
        cwd=REPO, check=True,
    )  # fmt: skip
    return own


def main() -> int:
    """Make the environment and run the tests in it."""
    python = find(VERSIONS[0])
    if python is None:
        sys.exit(f"Python {VERSIONS[0]} is not installed")
    tests = sys.argv[1:] or [*TESTS, *(f"--ignore={path}" for path in LEFT_OUT)]
    command = [make(python), "-m", "pytest", "-p", "no:cacheprovider", "-q", *tests]
    return subprocess.run(command, cwd=REPO, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
