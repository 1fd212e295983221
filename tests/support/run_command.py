"""Programs under ``sessiontrace run``: started in a home of their own, and what they stored."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from socket import socket

from support.patience import patience
from support.subprocesses import environment

from sessiontrace.store.models import SessionQuery, StoredSession
from sessiontrace.store.sqlite.store import SqliteStore

__all__ = ["fetch", "free_port", "run_to_its_end", "running", "stored"]


def _start(home: Path, words: tuple[str, ...], extra: dict[str, str]) -> subprocess.Popen[bytes]:
    variables = environment(
        home,
        SESSIONTRACE_STORE=str(home / "store.db"),
        SESSIONTRACE_EXIT_TIMEOUT="10",
        **extra,
    )
    variables["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), variables["PATH"]])
    command = [sys.executable, "-m", "sessiontrace", "run", *words]
    return subprocess.Popen(command, env=variables, cwd=home)


def run_to_its_end(home: Path, *words: str, **extra: str) -> None:
    """``sessiontrace run WORDS``, which must succeed."""
    with _start(home, words, extra) as process:
        assert process.wait(patience(200)) == 0


@contextmanager
def running(home: Path, *words: str, **extra: str) -> Iterator[subprocess.Popen[bytes]]:
    """``sessiontrace run WORDS`` until the block is left; then Ctrl-C, and its orderly end."""
    process = _start(home, words, extra)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(patience(60))
        finally:
            process.kill()


def stored(home: Path) -> list[StoredSession]:
    """The sessions of the program's store, whole."""
    store = SqliteStore(home / "store.db")
    try:
        found = [store.session(one.session_id) for one in store.sessions(SessionQuery()).sessions]
    finally:
        store.close()
    return [one for one in found if one is not None]


def free_port() -> int:
    """A port that nobody listens on just now."""
    with closing(socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def fetch(url: str, within: float = 90) -> str:
    """What a server answers, once it does."""
    deadline = time.monotonic() + patience(within)
    while True:
        try:
            with urllib.request.urlopen(url, timeout=30) as reply:
                text: str = reply.read().decode()
                return text
        except OSError:
            assert time.monotonic() < deadline, f"{url} does not answer"
            time.sleep(0.05)
