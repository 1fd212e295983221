"""The ASGI middleware: a session around each request, whatever runs inside it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.instrumented import ModelTracer

from sessiontrace.capture.context.w3c import inject
from sessiontrace.instrumentation.web.asgi import Asgi
from sessiontrace.model.ids import session_uuid

pytest.importorskip("starlette", reason="the contract group is not installed")

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

pytestmark = [pytest.mark.contract, pytest.mark.timeout(300)]


def application(tracing: ModelTracer) -> Any:
    """Routes that answer at once, in pieces, later, in a thread, and not at all."""

    async def plain(request: Request) -> PlainTextResponse:
        with tracing.span("work"):
            await asyncio.sleep(0)
        return PlainTextResponse("hello")

    async def streamed(request: Request) -> StreamingResponse:
        async def pieces() -> AsyncIterator[bytes]:
            for number in range(3):
                with tracing.span(f"piece {number}"):
                    await asyncio.sleep(0)
                yield b"x"

        return StreamingResponse(pieces())

    async def later(request: Request) -> PlainTextResponse:
        def background() -> None:
            with tracing.span("background"):
                pass

        return PlainTextResponse("soon", background=BackgroundTask(background))

    async def threaded(request: Request) -> PlainTextResponse:
        def work() -> None:
            with tracing.span("thread"):
                pass

        await run_in_threadpool(work)
        return PlainTextResponse("done")

    async def broken(request: Request) -> PlainTextResponse:
        raise ValueError("theirs")

    return Starlette(
        routes=[
            Route("/plain/{name}", plain),
            Route("/streamed", streamed),
            Route("/later", later),
            Route("/threaded", threaded),
            Route("/broken", broken),
        ]
    )


async def get(app: Any, path: str, **headers: str) -> list[dict[str, Any]]:
    """What the application sends for a GET, message by message."""
    sent: list[dict[str, Any]] = []
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": b"a=1",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("10.0.0.1", 1),
    }
    body = [{"type": "http.request", "body": b""}]

    async def receive() -> dict[str, Any]:
        if not body:
            await asyncio.Event().wait()  # the client stays
        return body.pop()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent


def ended(tracing: ModelTracer) -> list[dict[str, Any]]:
    return [body for head, body in tracing.records if head.startswith("end")]


@pytest.mark.asyncio
async def test_a_request_is_a_session() -> None:
    """Named by method and path, with the status; the steps inside belong to it."""
    tracing = ModelTracer()
    sent = await get(Asgi(application(tracing), tracing), "/plain/ada")

    (session,) = ended(tracing)
    assert sent[0]["status"] == 200
    assert session["event_name"].startswith("GET /plain/")
    assert session["inputs"] == {"method": "GET", "path": "/plain/ada", "query": "a=1"}
    assert session["outputs"] == {"status": 200}
    assert session["metrics"]["response_ms"] <= session["duration"]
    assert tracing.events[0]["session_id"] == session["session_id"]


@pytest.mark.asyncio
@pytest.mark.parametrize("path", ["/streamed", "/later", "/threaded"])
async def test_the_session_stays_open_for_what_comes_later(path: str) -> None:
    """Streamed bodies, background tasks and threads are still inside."""
    tracing = ModelTracer()
    await get(Asgi(application(tracing), tracing), path)

    (session,) = ended(tracing)
    assert tracing.events
    assert {event["session_id"] for event in tracing.events} == {session["session_id"]}
    assert tracing.records[-1][1] is session


@pytest.mark.asyncio
async def test_an_exception_passes_and_is_told() -> None:
    """The server sees the application's own exception; the session has it too."""
    tracing = ModelTracer()
    with pytest.raises(ValueError, match="theirs"):
        await get(Asgi(application(tracing), tracing), "/broken")

    (session,) = ended(tracing)
    assert session["error"] == "ValueError: theirs"
    assert session["outputs"] == {"status": 500}


@pytest.mark.asyncio
async def test_fifty_requests_at_once_are_fifty_sessions() -> None:
    """No step lands in the session of another request."""
    tracing = ModelTracer()
    app = Asgi(application(tracing), tracing)
    await asyncio.gather(*(get(app, f"/plain/{number}") for number in range(50)))

    assert len({session["session_id"] for session in ended(tracing)}) == 50
    assert len({event["session_id"] for event in tracing.events}) == 50


@pytest.mark.asyncio
async def test_a_session_header_makes_turns_of_one_conversation() -> None:
    """Two requests with the same ``x-session-id`` of a trusted caller: one session, two turns."""
    tracing = ModelTracer()
    app = Asgi(application(tracing), tracing, trust="all")
    await get(app, "/plain/a", **{"x-session-id": "chat-1"})
    await get(app, "/plain/b", **{"x-session-id": "chat-1"})

    first, second = ended(tracing)
    assert first["session_id"] == second["session_id"]
    assert first["event_id"] != second["event_id"]


@pytest.mark.asyncio
async def test_the_callers_headers_make_it_part_of_the_callers_session() -> None:
    """Called by another program of ours the request is a span below the caller's."""
    caller, tracing = ModelTracer(), ModelTracer()
    headers: dict[str, str] = {}
    with caller.session() as session, caller.span("call") as span:
        inject(span, headers)
    await get(Asgi(application(tracing), tracing), "/plain/ada", **headers)

    work, request = tracing.events
    assert request["event_type"] == "chain"
    assert request["session_id"] == session.session_id
    assert request["parent_id"] == span.event_id
    assert request["outputs"] == {"status": 200}
    assert work["parent_id"] == request["event_id"]


@pytest.mark.asyncio
async def test_headers_of_other_tracers_name_the_session() -> None:
    """A gateway's traceparent: a turn of a session made from its trace id."""
    tracing = ModelTracer()
    header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    app = Asgi(application(tracing), tracing)
    await get(app, "/plain/a", traceparent=header)
    await get(app, "/plain/b", traceparent=header)

    first, second = ended(tracing)
    assert first["session_id"] == second["session_id"]
    assert first["metadata"]["otel.trace_id"] == header[3:35]


STRANGE = {
    "x-session-id": "of-ada",
    "baggage": "session.id=of-ada,user.id=ada,session.to=nowhere",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
}


@pytest.mark.asyncio
@pytest.mark.parametrize("trust", [None, "trace", "none", "typo"])
async def test_E14_a_stranger_chooses_neither_session_nor_user_nor_silence(
    trust: str | None,
) -> None:
    """The default: at most the trace is gone on with, and every request is recorded."""
    tracing = ModelTracer(route=lambda to: None)
    app = Asgi(application(tracing), tracing, trust=trust)
    await get(app, "/plain/a", **STRANGE)

    (session,) = ended(tracing)
    assert session["session_id"] != session_uuid("of-ada")
    assert "user_properties" not in session
    assert ("otel.trace_id" in session["metadata"]) is (trust in {None, "trace"})
    assert [event["event_name"] for event in tracing.events] == ["work"]


@pytest.mark.asyncio
async def test_the_trust_of_the_configuration_is_that_of_the_middleware() -> None:
    """``init(trust="all")`` or SESSIONTRACE_TRUST, for servers that are wrapped from outside."""
    tracing = ModelTracer(trust="all")
    app = Asgi(application(tracing), tracing)
    await get(app, "/plain/a", **{"x-session-id": "chat-1"})
    assert ended(tracing)[0]["session_id"] == session_uuid("chat-1")


@pytest.mark.asyncio
async def test_what_is_no_request_passes_through() -> None:
    """Start-up and shut-down, ignored paths, and a middleware of ours inside ours."""
    tracing = ModelTracer()
    seen: list[str] = []

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    await Asgi(app, tracing)({"type": "lifespan"}, app, app)
    await get(Asgi(app, tracing, ignore=["/health"]), "/health")
    assert tracing.records == []
    await get(Asgi(Asgi(app, tracing), tracing), "/once")

    assert seen == ["lifespan", "http", "http"]
    assert len(ended(tracing)) == 1


@pytest.mark.asyncio
async def test_a_mounted_route_is_named_with_its_mount() -> None:
    """Two applications with the same route are told apart, a parameter by its name."""
    fastapi = pytest.importorskip("fastapi")
    tracing = ModelTracer()
    app, inner, innermost = (fastapi.FastAPI() for _ in range(3))

    @app.get("/items/{item}")
    @inner.get("/items/{item}")
    @innermost.get("/items/{item}")
    def item(item: str) -> str:
        return item

    inner.mount("/deep", innermost)
    app.mount("/v1/{tenant}", inner)
    wrapped = Asgi(app, tracing)

    async def behind_a_proxy(scope: Any, receive: Any, send: Any) -> None:
        path = "/proxy" + scope["path"]
        await wrapped({**scope, "root_path": "/proxy", "path": path}, receive, send)

    for path in ("/items/7", "/v1/acme/items/7", "/v1/acme/deep/items/7"):
        await get(behind_a_proxy, path)
    assert [session["event_name"] for session in ended(tracing)] == [
        "GET /items/{item}",
        "GET /v1/{tenant}/items/{item}",
        "GET /v1/{tenant}/deep/items/{item}",
    ]
