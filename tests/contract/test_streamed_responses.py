"""Streamed responses of web frameworks: the span of the function lasts as long as the body."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from support.django_settings import configure_django

import sessiontrace as st
from sessiontrace.testing import Captured

pytestmark = [pytest.mark.contract, pytest.mark.timeout(300)]


@pytest.fixture
def traces() -> Iterator[Captured]:
    with st.testing.capture() as traces:
        yield traces


def pieces() -> Iterator[bytes]:
    with st.span("piece"):
        yield b"a"
    yield b"b"


async def async_pieces() -> AsyncIterator[bytes]:
    with st.span("piece"):
        yield b"a"
    yield b"b"


async def read(stream: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in stream]


def django(body: Any) -> Any:
    configure_django()
    from django.http import StreamingHttpResponse

    return StreamingHttpResponse(body)


def werkzeug(body: Any) -> Any:
    return pytest.importorskip("werkzeug").Response(body)


def flask(body: Any) -> Any:
    return pytest.importorskip("flask").Response(body)


def starlette(body: Any) -> Any:
    return pytest.importorskip("starlette.responses").StreamingResponse(body)


def server_sent_events(body: Any) -> Any:
    return pytest.importorskip("sse_starlette").EventSourceResponse(body)


def aiohttp(body: Any) -> Any:
    return pytest.importorskip("aiohttp.web").Response(body=body)


RESPONSES: dict[str, tuple[Callable[[Any], Any], Any, Callable[[Any], Any]]] = {
    "django": (django, pieces, list),
    "django async": (django, async_pieces, lambda reply: asyncio.run(read(aiter_of(reply)))),
    "werkzeug": (werkzeug, pieces, lambda reply: list(reply.response)),
    "flask": (flask, pieces, lambda reply: list(reply.iter_encoded())),
    "starlette": (starlette, pieces, lambda reply: asyncio.run(read(reply.body_iterator))),
    "starlette async": (
        starlette,
        async_pieces,
        lambda reply: asyncio.run(read(reply.body_iterator)),
    ),
    "sse": (
        server_sent_events,
        async_pieces,
        lambda reply: asyncio.run(read(reply.body_iterator)),
    ),
    "aiohttp": (aiohttp, async_pieces, lambda reply: asyncio.run(read(vars(reply.body)["_iter"]))),
}


def aiter_of(reply: Any) -> Any:
    return reply.__aiter__()


@pytest.mark.parametrize("name", RESPONSES)
def test_E21_the_span_lasts_as_long_as_the_body(traces: Captured, name: str) -> None:
    """What the body does is inside; the response is the object that the framework made."""
    make, body, consume = RESPONSES[name]

    @st.trace
    def view() -> Any:
        replies.append(make(body()))
        return replies[0]

    replies: list[Any] = []
    reply = view()
    assert reply is replies[0]
    assert [bytes(piece) for piece in consume(reply)] == [b"a", b"b"]
    (event,) = [event for event in traces.events if event["event_name"] == "view"]
    assert event["metrics"]["chunks"] == 2
    (piece,) = [event for event in traces.events if event["event_name"] == "piece"]
    assert piece["parent_id"] == event["event_id"]


def test_what_is_no_response_keeps_its_generator(traces: Captured) -> None:
    """An object of the user's may hold a generator for its whole life: its span ends at once."""

    class Agent:
        def __init__(self) -> None:
            self.steps = pieces()

    @st.trace
    def agent() -> Agent:
        return Agent()

    result = agent()
    assert result.steps.gi_code is pieces.__code__
    assert [event["event_name"] for event in traces.events] == ["agent"]


@pytest.mark.parametrize("name", ["django", "werkzeug", "starlette async"])
def test_a_response_that_is_dropped_unread_ends_its_span(traces: Captured, name: str) -> None:
    """The client went away before the first byte."""
    make, body, _ = RESPONSES[name]
    st.trace(lambda: make(body()), name="view")()
    (event,) = traces.events
    assert event["metadata"]["stream_end"] == "dropped"
