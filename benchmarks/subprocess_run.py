"""Measured work in a process of its own: started, waited for, its figures read.

A benchmark's script runs itself again with ``--child JSON``: what to do. The child prints its
figures as the last line of its output. Invariant: no child outlives its parent's wait.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import machine_info

__all__ = ["Ended", "answer", "ask", "outcome", "tell"]

Asked = dict[str, Any]


@attrs.frozen
class Ended:
    """How a process ended. ``seconds`` after its last figures; ``killed``: it had to be."""

    figures: Asked
    seconds: float
    killed: bool
    code: int


def answer(work: Callable[..., Any]) -> bool:
    """In a child: do the work on the first core, with what was asked as keywords."""
    if len(sys.argv) != 3 or sys.argv[1] != "--child":
        return False
    asked: Asked = json.loads(sys.argv[2])
    machine_info.pin(first=True)
    tell(work(**asked))
    return True


def tell(figures: Any) -> None:
    """In a child: hand figures to the parent, now."""
    print(json.dumps(figures), flush=True)


def ask(**asked: Any) -> Asked:
    """Run this script as a child; its figures. What it writes to stderr is shown if it fails."""
    done = subprocess.run(_command(asked), capture_output=True, text=True, timeout=900, check=False)
    if done.returncode:
        sys.exit(f"{asked}\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    found: Asked = json.loads(done.stdout.splitlines()[-1])
    return found


def outcome(asked: Asked, patience: float, environ: Mapping[str, str] | None = None) -> Ended:
    """Run this script as a child until it has ended, at most ``patience`` s after its figures."""
    return watch(_command(asked), patience, environ)


def watch(command: list[str], patience: float, environ: Mapping[str, str] | None = None) -> Ended:
    """Run a program that tells figures and then ends, sooner or later."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **(environ or {})},
    )
    assert process.stdout is not None
    line = ""
    for line in process.stdout:
        if line.startswith("{"):
            break
    told = time.perf_counter()
    try:
        process.communicate(timeout=patience)
        killed = False
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        killed = True
    seconds = time.perf_counter() - told
    figures = json.loads(line) if line.startswith("{") else {}
    return Ended(figures, seconds, killed, process.returncode)


def _command(asked: Asked) -> list[str]:
    return [sys.executable, sys.argv[0], "--child", json.dumps(asked)]
