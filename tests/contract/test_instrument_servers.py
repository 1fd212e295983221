"""Requests to Flask, Django, aiohttp and FastAPI: a session each, with its own steps only."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from support.django_settings import configure_django
from support.instrumented import ModelTracer, instrumented

from sessiontrace.instrumentation.web.asgi import Asgi
from sessiontrace.instrumentation.web.wsgi import Wsgi

pytest.importorskip("flask", reason="the contract group is not installed")
pytest.importorskip("fastapi", reason="the contract group is not installed")
pytest.importorskip("django", reason="the contract group is not installed")

import aiohttp
import fastapi
import flask
from aiohttp import web
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse, StreamingHttpResponse
from django.test import AsyncClient, Client, override_settings
from django.urls import path
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client as WsgiClient

configure_django()

pytestmark = [pytest.mark.contract, pytest.mark.timeout(120)]

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}


def flask_app(tracing: ModelTracer) -> Any:
    app = flask.Flask("shop")

    @app.get("/users/<name>")
    def user(name: str) -> str:
        with tracing.span(f"work for {name}"):
            return name

    @app.get("/async/<name>")
    async def later(name: str) -> str:
        with tracing.span(f"work for {name}"):
            await asyncio.sleep(0)
        return name

    @app.get("/stream/<name>")
    def stream(name: str) -> Any:
        def pieces() -> Iterator[str]:
            for number in range(3):
                with tracing.span(f"piece {number} for {name}"):
                    yield "x"

        return flask.Response(pieces())

    @app.get("/fails")
    def fails() -> str:
        raise ValueError("no seat")

    return app


def django_urls(tracing: ModelTracer) -> Any:
    def user(request: Any, name: str) -> Any:
        with tracing.span(f"work for {name}"):
            return HttpResponse(name)

    async def later(request: Any, name: str) -> Any:
        with tracing.span(f"work for {name}"):
            await asyncio.sleep(0)
        return HttpResponse(name)

    def stream(request: Any, name: str) -> Any:
        def pieces() -> Iterator[str]:
            for number in range(3):
                with tracing.span(f"piece {number} for {name}"):
                    yield "x"

        return StreamingHttpResponse(pieces())

    async def stream_later(request: Any, name: str) -> Any:
        async def pieces() -> AsyncIterator[str]:
            for number in range(3):
                with tracing.span(f"piece {number} for {name}"):
                    await asyncio.sleep(0)
                    yield "x"

        return StreamingHttpResponse(pieces())

    def fails(request: Any) -> Any:
        raise ValueError("no seat")

    return (
        path("users/<name>", user),
        path("async/<name>", later),
        path("stream/<name>", stream),
        path("stream-later/<name>", stream_later),
        path("fails", fails),
    )


def sessions_of(tracing: ModelTracer) -> dict[str, list[str]]:
    """Each session's steps, by the name of the session; every session has ended once."""
    names = {
        record["session_id"]: record["event_name"]
        for kind, record in tracing.records
        if kind == "end"
    }
    steps: dict[str, list[str]] = {name: [] for name in names.values()}
    for event in tracing.events:
        steps[names[event["session_id"]]].append(event["event_name"])
    return steps


def pieces_for(name: str) -> list[str]:
    return [f"piece {number} for {name}" for number in range(3)]


def test_flask() -> None:
    """Sync and async views, a streamed body, an exception; the route is the session's name."""
    with instrumented("flask") as tracing:
        client = flask_app(tracing).test_client()
        for address in ("/users/ada", "/async/bob", "/stream/eve", "/fails", "/unknown"):
            assert client.get(address, buffered=True).data
        assert tracing.current.get() is None
    assert sessions_of(tracing) == {
        "GET /users/<name>": ["work for ada"],
        "GET /async/<name>": ["work for bob"],
        "GET /stream/<name>": pieces_for("eve"),
        "GET /fails": [],
        "GET /unknown": [],
    }
    ends = {record["event_name"]: record for kind, record in tracing.records if kind == "end"}
    assert ends["GET /users/<name>"]["inputs"]["path"] == "/users/ada"
    assert ends["GET /users/<name>"]["outputs"] == {"status": 200}
    assert ends["GET /fails"]["error"] == "ValueError: no seat"
    assert ends["GET /unknown"]["outputs"] == {"status": 404}
    assert ends["GET /stream/<name>"]["metrics"]["chunks"] == 3


def test_mounted_applications_are_one_session() -> None:
    """A dispatcher above, the middleware around, and the instrumented class below."""
    with instrumented("flask") as tracing:
        app = flask_app(tracing)
        mounted = Wsgi(DispatcherMiddleware(flask.Flask("outer"), {"/shop": app}), tracing)
        assert WsgiClient(mounted).get("/shop/users/ada").text == "ada"
    assert sessions_of(tracing) == {"GET /shop/users/<name>": ["work for ada"]}


def test_a_stream_that_the_client_leaves_ends_its_session() -> None:
    """The server closes the body; nothing of it stays with the thread."""
    with instrumented("flask") as tracing:
        body = WsgiClient(flask_app(tracing)).open("/stream/ada", buffered=False)
        assert next(iter(body.response))
        assert tracing.current.get() is None
        body.close()
    assert [kind for kind, _ in tracing.records].count("end") == 1


@pytest.mark.parametrize("header", [{}, PARENT], ids=["own session", "a caller's"])
def test_headers_of_the_caller_name_the_session(header: dict[str, str]) -> None:
    """As with ASGI: other tracers' headers name the session of the turn."""
    with instrumented("flask") as tracing:
        flask_app(tracing).test_client().get("/users/ada", headers=header)
    (event,) = tracing.events
    assert (event["session_id"].replace("-", "") == TRACE) is bool(header)


@pytest.mark.asyncio
async def test_django() -> None:
    """Django's sync and async clients and handlers; streamed bodies are inside."""
    with instrumented("django") as tracing, override_settings(ROOT_URLCONF=django_urls(tracing)):
        client, later = Client(raise_request_exception=False), AsyncClient()
        for address in ("/users/ada", "/stream/eve", "/fails"):
            response = await asyncio.to_thread(client.get, address)
            if response.streaming:
                assert b"".join(response.streaming_content) == b"xxx"
            response.close()
        assert (await later.get("/async/bob")).content == b"bob"
        response = await later.get("/stream-later/joe")
        assert [part async for part in response.streaming_content] == [b"x"] * 3
        response.close()
    assert sessions_of(tracing) == {
        "GET /users/<name>": ["work for ada"],
        "GET /async/<name>": ["work for bob"],
        "GET /stream/<name>": pieces_for("eve"),
        "GET /stream-later/<name>": pieces_for("joe"),
        "GET /fails": [],
    }
    ends = {record["event_name"]: record for kind, record in tracing.records if kind == "end"}
    assert ends["GET /fails"]["error"] == "ValueError: no seat"
    assert ends["GET /fails"]["outputs"] == {"status": 500}


@pytest.mark.asyncio
async def test_aiohttp() -> None:
    """Two requests of one connection, a body that is made after the handler, an exception."""
    with instrumented("aiohttp-server") as tracing:

        async def user(request: web.Request) -> web.Response:
            with tracing.span(f"work for {request.match_info['name']}"):
                await asyncio.sleep(0)
            return web.Response(text="x")

        async def stream(request: web.Request) -> web.Response:
            async def pieces() -> AsyncIterator[bytes]:
                for number in range(3):
                    with tracing.span(f"piece {number} for eve"):
                        await asyncio.sleep(0)
                    yield b"x"

            return web.Response(body=pieces())

        async def fails(request: web.Request) -> web.Response:
            raise ValueError("no seat")

        app = web.Application()
        app.add_routes(
            [web.get("/users/{name}", user), web.get("/stream", stream), web.get("/fails", fails)]
        )
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with aiohttp.ClientSession() as client:
            for address in ("/users/ada", "/stream", "/fails", "/unknown"):
                async with client.get(url + address) as answer:
                    assert await answer.read()
        await runner.cleanup()
    assert sessions_of(tracing) == {
        "GET /users/{name}": ["work for ada"],
        "GET /stream": pieces_for("eve"),
        "GET /fails": [],
        "GET /unknown": [],
    }
    ends = {record["event_name"]: record for kind, record in tracing.records if kind == "end"}
    assert ends["GET /fails"]["error"] == "ValueError: no seat"
    assert ends["GET /unknown"]["outputs"] == {"status": 404}


def wsgi_of_flask(tracing: ModelTracer, wait: Callable[[], None]) -> Callable[[str], Any]:
    app = flask.Flask("shop")

    @app.get("/users/<name>")
    def user(name: str) -> Any:
        def pieces() -> Iterator[str]:
            for number in range(3):
                with tracing.span(f"{name} {number}"):
                    wait()
                    yield "x"

        wait()
        return flask.Response(pieces())

    return lambda name: WsgiClient(app).get(f"/users/{name}", buffered=True)


def wsgi_of_django(tracing: ModelTracer, wait: Callable[[], None]) -> Callable[[str], Any]:
    handler = WSGIHandler()
    return lambda name: WsgiClient(handler).get(f"/users/{name}", buffered=True)


def asgi_of_fastapi(tracing: ModelTracer, wait: Callable[[], None]) -> Callable[[str], Any]:
    app = fastapi.FastAPI()

    @app.get("/users/{name}")
    def user(name: str) -> str:
        for number in range(3):
            with tracing.span(f"{name} {number}"):
                wait()
        return name

    traced = Asgi(app, tracing)  # type: ignore[arg-type]

    async def call(name: str) -> None:
        scope = {"type": "http", "method": "GET", "path": f"/users/{name}", "headers": [],
                 "query_string": b"", "root_path": "", "http_version": "1.1"}  # fmt: skip

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            assert message.get("status", 200) == 200

        await traced(scope, receive, send)

    return lambda name: asyncio.run(call(name))


@pytest.mark.parametrize(
    ("name", "serve"),
    [("flask", wsgi_of_flask), ("django", wsgi_of_django), (None, asgi_of_fastapi)],
    ids=["flask", "django", "fastapi"],
)
def test_requests_in_eight_threads_share_nothing(name: str | None, serve: Any) -> None:
    """Two users' requests are interleaved step by step in threads that serve many: each step is
    in the session of its own user, and the threads carry nothing on.
    """
    barrier = threading.Barrier(8)

    def wait() -> None:
        with contextlib.suppress(threading.BrokenBarrierError):
            barrier.wait(5)

    context = instrumented(name) if name else contextlib.nullcontext(ModelTracer())
    with context as tracing:

        def user(request: Any, name: str) -> Any:
            def pieces() -> Iterator[str]:
                for number in range(3):
                    with tracing.span(f"{name} {number}"):
                        wait()
                        yield "x"

            wait()
            return StreamingHttpResponse(pieces())

        with override_settings(ROOT_URLCONF=(path("users/<name>", user),)):
            call = serve(tracing, wait)
            with ThreadPoolExecutor(8) as pool:
                left = [
                    pool.submit(lambda who: (call(who), tracing.current.get())[1], who)
                    for who in ("ada", "bob") * 8
                ]
                assert [future.result() for future in left] == [None] * 16
    owners: dict[str, set[str]] = {}
    for event in tracing.events:
        owners.setdefault(event["session_id"], set()).add(event["event_name"].split()[0])
    assert len(owners) == 16
    assert all(len(users) == 1 for users in owners.values())
    assert len(tracing.events) == 48


def test_django_behind_our_middlewares_is_one_session() -> None:
    """``st.wsgi`` and ``st.asgi`` around an instrumented application record once."""
    with instrumented("django") as tracing, override_settings(ROOT_URLCONF=django_urls(tracing)):
        assert WsgiClient(Wsgi(WSGIHandler(), tracing)).get("/users/ada").text == "ada"

        async def call() -> None:
            scope = {"type": "http", "method": "GET", "path": "/async/bob", "headers": [],
                     "query_string": b"", "root_path": "", "http_version": "1.1"}  # fmt: skip
            started = asyncio.Event()

            async def receive() -> Any:
                if started.is_set():
                    await asyncio.sleep(3600)
                started.set()
                return {"type": "http.request", "body": b"", "more_body": False}

            async def send(message: Any) -> None:
                pass

            await Asgi(ASGIHandler(), tracing)(scope, receive, send)

        asyncio.run(call())
    ends = [record["event_name"] for kind, record in tracing.records if kind == "end"]
    assert len(ends) == 2
    assert [event["event_name"] for event in tracing.events] == ["work for ada", "work for bob"]
