"""FastAPI with ``st.asgi``: whatever it does for a request happens in that request's session."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.instrumented import ModelTracer
from support.run_command import stored
from support.subprocesses import REPO, environment

from sessiontrace.instrumentation.web.asgi import Asgi
from sessiontrace.model.ids import session_uuid

fastapi = pytest.importorskip("fastapi", reason="the contract group is not installed")

pytestmark = [pytest.mark.contract, pytest.mark.timeout(300)]


def application(tracing: ModelTracer, around: bool) -> Any:
    """Every way in which FastAPI runs user code; the middleware around it, or added to it."""

    def step(name: str) -> None:
        with tracing.span(name):
            pass

    app = fastapi.FastAPI()
    app.include_router(answering(step))
    app.include_router(streaming(step))
    app.include_router(failing())
    if around:
        return Asgi(app, tracing)
    app.add_middleware(Asgi, tracer=tracing)
    return app


def answering(step: Callable[[str], None]) -> Any:
    """Endpoints that answer at once, in the loop and in a thread, with a dependency, and later."""
    router = fastapi.APIRouter()
    items = fastapi.APIRouter(prefix="/v1")

    async def opened() -> AsyncIterator[str]:
        step("before")
        yield "resource"
        step("after")

    @items.get("/items/{item}")
    async def item(item: str, resource: str = fastapi.Depends(opened)) -> dict[str, str]:
        step("endpoint")
        return {item: resource}

    @router.get("/threaded")
    def threaded() -> str:
        step("thread")
        return "done"

    @router.get("/later")
    async def later(tasks: fastapi.BackgroundTasks) -> str:
        tasks.add_task(step, "background")
        return "soon"

    @router.websocket("/talk")
    async def talk(socket: fastapi.WebSocket) -> None:
        await socket.accept()
        step(await socket.receive_text())
        await socket.close()

    router.include_router(items)
    return router


def streaming(step: Callable[[str], None]) -> Any:
    """Endpoints that answer piece by piece."""
    router = fastapi.APIRouter()

    @router.get("/streamed")
    async def streamed() -> Any:
        async def pieces() -> AsyncIterator[str]:
            for number in range(3):
                step(f"piece {number}")
                await asyncio.sleep(0)
                yield "x"

        return fastapi.responses.StreamingResponse(pieces())

    @router.get("/streamed-in-threads")
    def streamed_in_threads() -> Any:
        def pieces() -> Iterator[str]:
            for number in range(3):
                step(f"piece {number}")
                yield "x"

        return fastapi.responses.StreamingResponse(pieces())

    return router


def failing() -> Any:
    """Endpoints that do not answer as they should."""
    router = fastapi.APIRouter()

    @router.get("/refused")
    async def refused() -> None:
        raise fastapi.HTTPException(418)

    @router.get("/broken")
    async def broken() -> None:
        raise ValueError("theirs")

    return router


async def request(app: Any, path: str, kind: str = "http") -> list[dict[str, Any]]:
    """What the application sends, message by message."""
    sent: list[dict[str, Any]] = []
    scope: dict[str, Any] = {"type": kind, "path": path, "query_string": b"", "headers": []}
    coming: list[dict[str, Any]] = [{"type": "http.request", "body": b""}]
    if kind == "http":
        scope.update(method="GET", http_version="1.1")
    else:
        coming = [{"type": "websocket.connect"}, {"type": "websocket.receive", "text": "step"}]

    async def receive() -> dict[str, Any]:
        if not coming:
            await asyncio.Event().wait()  # the client stays
        return coming.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent


def only_session(tracing: ModelTracer) -> dict[str, Any]:
    """The one session, which is the last record and has every step in it."""
    (session,) = [body for head, body in tracing.records if head.startswith("end")]
    assert tracing.records[-1][1] is session
    assert {event["session_id"] for event in tracing.events} <= {session["session_id"]}
    return session


@pytest.mark.asyncio
@pytest.mark.parametrize("around", [True, False], ids=["around", "add_middleware"])
@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("/v1/items/a", ["before", "endpoint", "after"]),
        ("/threaded", ["thread"]),
        ("/streamed", ["piece 0", "piece 1", "piece 2"]),
        ("/streamed-in-threads", ["piece 0", "piece 1", "piece 2"]),
        ("/later", ["background"]),
    ],
)
async def test_what_runs_for_a_request_is_in_its_session(
    path: str, steps: list[str], around: bool
) -> None:
    """Endpoints, dependencies, threads, streamed bodies, background tasks."""
    tracing = ModelTracer()
    sent = await request(application(tracing, around), path)

    session = only_session(tracing)
    assert sent[0]["status"] == 200
    assert session["event_name"].startswith("GET /")
    assert session["outputs"] == {"status": 200}
    assert [event["event_name"] for event in tracing.events] == steps


@pytest.mark.asyncio
async def test_the_session_is_named_by_the_route() -> None:
    """So that a thousand items are not a thousand names."""
    tracing = ModelTracer()
    await request(application(tracing, around=True), "/v1/items/a")

    session = only_session(tracing)
    assert session["event_name"] == "GET /v1/items/{item}"
    assert session["inputs"]["path"] == "/v1/items/a"


@pytest.mark.asyncio
async def test_refusals_faults_and_unknown_paths_are_told_by_their_status() -> None:
    """An HTTPException is an answer; only what FastAPI does not handle is an error."""
    for path, status in (("/refused", 418), ("/nowhere", 404)):
        tracing = ModelTracer()
        await request(application(tracing, around=True), path)
        session = only_session(tracing)
        assert session["outputs"] == {"status": status}
        assert session.get("error") is None

    tracing = ModelTracer()
    with pytest.raises(ValueError, match="theirs"):
        await request(application(tracing, around=True), "/broken")
    session = only_session(tracing)
    assert session["outputs"] == {"status": 500}
    assert session["error"] == "ValueError: theirs"


@pytest.mark.asyncio
async def test_a_websocket_is_one_session() -> None:
    """From its opening to its end."""
    tracing = ModelTracer()
    await request(application(tracing, around=True), "/talk", "websocket")

    assert only_session(tracing)["event_name"] == "WEBSOCKET /talk"
    assert [event["event_name"] for event in tracing.events] == ["step"]


@pytest.mark.slow
def test_the_example_gives_one_conversation_with_two_turns(tmp_path: Path) -> None:
    """examples/server.py, run as its reader would."""
    pytest.importorskip("openai", reason="the contract group is not installed")
    variables = environment(tmp_path, SESSIONTRACE_STORE=str(tmp_path / "store.db"))
    program = [sys.executable, os.path.join(REPO, "examples", "server.py")]
    done = subprocess.run(program, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

    (session,) = stored(tmp_path)
    assert session.summary.session_id == session_uuid("ada-1")
    turns = {event.event_id: event.name for event in session.events if event.turn}
    models = [event for event in session.events if event.type == "model"]
    assert list(turns.values()) == ["POST /chat"] * 2
    assert [model.parent_id for model in models] == list(turns)
