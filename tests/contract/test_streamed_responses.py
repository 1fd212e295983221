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


class SlottedResponse:
    """As Litestar's ``Stream``, whose packages conflict with Starlette's: all of it is slots."""

    __slots__ = ("headers", "iterator", "status_code")

    def __init__(self, body: Any) -> None:
        self.iterator, self.status_code, self.headers = body, 200, {}


class AsyncPieces:
    """A body that is an iterable, and no iterator."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        return async_pieces()


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
    "starlette iterable": (
        starlette,
        AsyncPieces,
        lambda reply: asyncio.run(read(reply.body_iterator)),
    ),
    "slots": (SlottedResponse, pieces, lambda reply: list(reply.iterator)),
    "slots async": (SlottedResponse, async_pieces, lambda reply: asyncio.run(read(reply.iterator))),
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


@pytest.mark.parametrize("wrap", [pieces, lambda: flask(pieces())], ids=["body", "response"])
def test_a_view_of_flask_returns_its_body_with_a_status(traces: Captured, wrap: Any) -> None:
    """The tuple stays one, and what the body does is inside the view."""
    reply = st.trace(lambda: (wrap(), 200, {"X-A": "b"}), name="view")()
    assert type(reply) is tuple
    assert reply[1:] == (200, {"X-A": "b"})
    assert list(getattr(reply[0], "response", reply[0])) == [b"a", b"b"]
    events = {event["event_name"]: event for event in traces.events}
    assert events["piece"]["parent_id"] == events["view"]["event_id"]


@pytest.mark.parametrize("result", [(1, 2), ("a", 200, {}), ((), 1), (object(), 3), (print, {})])
def test_other_tuples_are_results(traces: Captured, result: Any) -> None:
    """They are returned as they are, and recorded."""
    assert st.trace(lambda: result, name="view")() is result
    (event,) = traces.events
    assert len(event["outputs"]["result"]) == len(result)


class LazyAttributes:
    """As lazy_object_proxy in pure Python: its ``__dict__`` is that of an object to be loaded."""

    __slots__ = ()

    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override]
        raise AssertionError("loaded")


def test_a_result_that_makes_up_its_attributes_is_not_asked(traces: Captured) -> None:
    """Looking for a body must not load anything."""
    assert type(st.trace(lambda: LazyAttributes(), name="make")()) is LazyAttributes
    assert [event.get("error") for event in traces.events] == [None]


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
