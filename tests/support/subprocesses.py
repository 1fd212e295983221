"""Running real Python programs from a test: own process, own home, faulthandler armed."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from support.patience import patience

REPO = Path(__file__).resolve().parents[2]

_FIRST = """
import faulthandler
faulthandler.dump_traceback_later({limit}, exit=True)
"""


def environment(home: Path, **extra: str) -> dict[str, str]:
    """A user's environment in which nothing of ours is configured yet."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name == "SESSIONTRACE_SPOOL_IO"  # the suite runs in both ways
        or not name.startswith(("SESSIONTRACE_", "HH_", "OTEL_", "HUMANLOOP_", "POSTHOG_", "XDG_"))
    }
    kept.pop("COLUMNS", None)  # of the terminal that the tests run in; a pipe has its own width
    return {**kept, "HOME": str(home), "PYTHONPATH": str(REPO), **extra}


@functools.cache
def _able(python: str) -> str:
    """Why this interpreter cannot run our programs; empty when it can."""
    probe = "import aiohttp, anyio, attrs, orjson, platformdirs"
    done = subprocess.run([python, "-c", probe], capture_output=True, timeout=60, check=False)
    return "" if done.returncode == 0 else "it has not what sessiontrace needs installed"


def python_of(version: str) -> str:
    """The interpreter of this version ("3.12"); skips the test where there is none to use.

    ``make pythons`` makes environments with what our programs need.
    """
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    made = REPO / ".venv" / "pythons" / version / "bin" / "python"
    found = str(made) if made.exists() else shutil.which(f"python{version}")
    if found is None:
        pytest.skip(f"no python{version} here; make pythons")
    if why := _able(found):
        pytest.skip(f"{found}: {why}")
    return found


def start(
    program: str,
    home: Path,
    *args: str,
    limit: float = 30,
    python: str = sys.executable,
    quiet: bool = False,
    **env: str,
) -> subprocess.Popen[str]:
    """Start a program given as text; it dumps all stacks and dies when it hangs past ``limit``,
    in seconds of a calm machine.

    ``quiet``: its stderr is not read, so that a child that outlives it holds nobody up.
    """
    text = _FIRST.format(limit=patience(limit)) + textwrap.dedent(program)
    return subprocess.Popen(
        [python, "-W", "error", "-c", text, *args],
        env=environment(home, **env),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL if quiet else subprocess.PIPE,
        text=True,
    )


def run(
    program: str,
    home: Path,
    *args: str,
    limit: float = 30,
    expect: int = 0,
    python: str = sys.executable,
    quiet: bool = False,
    **env: str,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and check its exit code (negative: the signal that ended it)."""
    with start(program, home, *args, limit=limit, python=python, quiet=quiet, **env) as process:
        out, err = process.communicate(timeout=patience(limit) + 5)
    assert process.returncode == expect, f"exit code {process.returncode}\n{out}\n{err}"
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)
