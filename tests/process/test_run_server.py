"""``sessiontrace run uvicorn``: each request is a session, in every worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from socket import socket

import pytest
from programs import environment
from stubs.openai_api import ROUTES, TEXT
from stubs.provider import Provider, serving

from sessiontrace.store.base import SessionQuery, StoredSession
from sessiontrace.store.sqlite import SqliteStore

for _needed in ("uvicorn", "openai", "starlette"):
    pytest.importorskip(_needed, reason="the contract group is not installed")

APP = """
import os
import openai
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

client = openai.AsyncOpenAI(base_url=os.environ["STUB"], api_key="k")

async def ask(request):
    done = await client.chat.completions.create(model="ok", messages=[])
    return PlainTextResponse(f"{done.choices[0].message.content} {os.getpid()}")

app = Starlette(routes=[Route("/ask", ask)])
"""


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with serving(ROUTES) as running:
        yield running


def free_port() -> int:
    with closing(socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def fetch(url: str, within: float = 20) -> str:
    deadline = time.monotonic() + within
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as reply:
                text: str = reply.read().decode()
                return text
        except OSError:
            assert time.monotonic() < deadline, f"{url} does not answer"
            time.sleep(0.05)


def stored(home: Path) -> list[StoredSession]:
    store = SqliteStore(home / "store.db")
    try:
        found = [store.session(one.session_id) for one in store.sessions(SessionQuery()).sessions]
    finally:
        store.close()
    return [one for one in found if one is not None]


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["--workers", "2"], ["--reload"]])
def test_requests_are_sessions(tmp_path: Path, provider: Provider, options: list[str]) -> None:
    """An unmodified server, plain, with two workers, or reloading: a session for each request."""
    (tmp_path / "app.py").write_text(APP)
    port = free_port()
    variables = environment(
        tmp_path,
        STUB=f"{provider.url}/v1",
        SESSIONTRACE_STORE=str(tmp_path / "store.db"),
        SESSIONTRACE_EXIT_TIMEOUT="5",
    )
    variables["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), variables["PATH"]])
    words = ["uvicorn", "app:app", "--port", str(port), "--log-level", "warning", *options]
    server = subprocess.Popen(
        [sys.executable, "-m", "sessiontrace", "run", *words], env=variables, cwd=tmp_path
    )
    try:
        for _ in range(6):
            assert fetch(f"http://127.0.0.1:{port}/ask").startswith(TEXT)
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(20)

    sessions = stored(tmp_path)
    assert len(sessions) == 6
    for session in sessions:
        assert session.summary.name == "GET /ask"
        assert [(event.type, event.name) for event in session.events] == [("model", "chat ok")]
