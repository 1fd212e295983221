"""``sessiontrace run`` with servers: each request is a session, in every worker."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.fake_backend import eventually
from support.run_command import fetch, free_port, running, stored
from support.stubs.openai_api import ROUTES, TEXT
from support.stubs.provider import Provider, serving

from sessiontrace.store.models import StoredSession

for _needed in ("uvicorn", "openai", "starlette"):
    pytest.importorskip(_needed, reason="the contract group is not installed")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

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

WSGI = """
import os
import openai

client = openai.OpenAI(base_url=os.environ["STUB"], api_key="k")

def app(environ, start_response):
    done = client.chat.completions.create(model="ok", messages=[])
    start_response("200 OK", [("content-type", "text/plain")])
    return [f"{done.choices[0].message.content} {os.getpid()}".encode()]
"""


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with serving(ROUTES) as running_one:
        yield running_one


def ended(home: Path) -> list[StoredSession]:
    return [session for session in stored(home) if session.summary.status == "ended"]


def check_sessions(home: Path, count: int) -> None:
    """Each of the requests is a session of its own, with its model call.

    Asked while the server runs: uvicorn's workers end by SIGTERM, which leaves what is not
    delivered by then to the next process.
    """
    eventually(lambda: len(ended(home)) >= count, 120)
    sessions = stored(home)
    assert len(sessions) == count
    for session in sessions:
        assert session.summary.name == "GET /ask"
        assert [(event.type, event.name) for event in session.events] == [("model", "chat ok")]


@pytest.mark.parametrize("options", [[], ["--workers", "2"], ["--reload"]], ids=" ".join)
def test_requests_are_sessions(tmp_path: Path, provider: Provider, options: list[str]) -> None:
    """An unmodified server, plain, with two workers, or watching for changes."""
    (tmp_path / "app.py").write_text(APP)
    port = free_port()
    words = ["uvicorn", "app:app", "--port", str(port), "--log-level", "warning", *options]
    with running(tmp_path, *words, STUB=f"{provider.url}/v1"):
        for _ in range(6):
            assert fetch(f"http://127.0.0.1:{port}/ask").startswith(TEXT)
        check_sessions(tmp_path, 6)


def test_a_reloaded_server_is_traced_as_before(tmp_path: Path, provider: Provider) -> None:
    """uvicorn sees a changed file and starts a new process; both are traced."""
    (tmp_path / "app.py").write_text(APP)
    port = free_port()
    words = ["uvicorn", "app:app", "--port", str(port), "--log-level", "warning", "--reload"]
    with running(tmp_path, *words, STUB=f"{provider.url}/v1"):
        url = f"http://127.0.0.1:{port}/ask"
        first = fetch(url)
        (tmp_path / "app.py").write_text(APP.replace("{os.getpid()}", "again {os.getpid()}"))
        replies = [first]

        def again() -> bool:
            replies.append(fetch(url))
            return "again" in replies[-1]

        eventually(again, 90)
        assert replies[-1].rsplit(" ", 1)[1] != first.rsplit(" ", 1)[1]
        check_sessions(tmp_path, len(replies))


@pytest.mark.parametrize("options", [[], ["--preload"]], ids=["", "--preload"])
def test_requests_to_gunicorns_asgi_workers_are_sessions(
    tmp_path: Path, provider: Provider, options: list[str]
) -> None:
    """Workers are forked, with --preload after the application was loaded."""
    pytest.importorskip("gunicorn.workers.gasgi", reason="the contract group is not installed")
    (tmp_path / "app.py").write_text(APP)
    port = free_port()
    words = ["gunicorn", "app:app", "-k", "asgi", "--workers", "2", "--log-level", "warning"]
    words += ["--bind", f"127.0.0.1:{port}", *options]
    with running(tmp_path, *words, STUB=f"{provider.url}/v1"):
        for _ in range(6):
            assert fetch(f"http://127.0.0.1:{port}/ask").startswith(TEXT)
        check_sessions(tmp_path, 6)


@pytest.mark.parametrize("options", [[], ["--preload"]], ids=["", "--preload"])
def test_calls_in_gunicorns_wsgi_workers_are_recorded(
    tmp_path: Path, provider: Provider, options: list[str]
) -> None:
    """There is no session for each request: every worker is a turn of the program's one."""
    pytest.importorskip("gunicorn", reason="the contract group is not installed")
    (tmp_path / "app.py").write_text(WSGI)
    port = free_port()
    words = ["gunicorn", "app:app", "--workers", "2", "--log-level", "warning"]
    words += ["--bind", f"127.0.0.1:{port}", *options]
    with running(tmp_path, *words, STUB=f"{provider.url}/v1"):
        replies = [fetch(f"http://127.0.0.1:{port}/ask") for _ in range(6)]
        eventually(lambda: sum(session.summary.models for session in stored(tmp_path)) >= 6, 120)

    (session,) = stored(tmp_path)
    assert session.summary.models == 6
    turns = [event for event in session.events if event.turn]
    assert len(turns) == len({reply.rsplit(" ", 1)[1] for reply in replies})
    assert os.path.basename(session.summary.name) == "gunicorn"
