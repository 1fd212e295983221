"""Streams: time to the first chunk, gaps, counts, and what the chunks add up to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import pydantic
import pytest
from support.recording_tracer import Captured

from sessiontrace.capture.streams.chunk_accumulator import ChunkAccumulator
from sessiontrace.capture.streams.stream import watch


@pytest.fixture
def captured() -> Iterator[Captured]:
    captured = Captured()
    yield captured
    assert captured.current.get() is None


def test_a_generator_tells_first_chunk_count_and_largest_gap(captured: Captured) -> None:
    """The numbers one tunes a stream by."""

    @captured.trace(type="model")
    def words() -> Iterator[str]:
        time.sleep(0.02)
        yield "a"
        time.sleep(0.04)
        yield "b"
        yield "c"

    with captured.session():
        assert list(words()) == ["a", "b", "c"]
    event = captured.event("words")
    metrics = event["metrics"]
    assert metrics["chunks"] == 3
    assert 20 <= metrics["time_to_first_chunk_ms"] < event["duration"]
    assert 40 <= metrics["largest_gap_ms"] < event["duration"]
    assert event["outputs"] == {"result": "abc"}


def test_reduce_joins_the_chunks_the_users_way(captured: Captured) -> None:
    """And a reduce that fails is named, in the outputs and nowhere else."""

    @captured.trace(reduce=sum)
    def numbers() -> Iterator[int]:
        yield from (1, 2, 3)

    @captured.trace(reduce=lambda chunks: chunks[99])
    def broken() -> Iterator[int]:
        yield 1

    with captured.session():
        assert list(numbers()) == [1, 2, 3]
        assert list(broken()) == [1]
    assert captured.event("numbers")["outputs"] == {"result": 6}
    assert captured.event("broken")["outputs"] == {"_unreduced": "IndexError"}


def test_chunks_that_are_no_text_are_listed_as_they_were(captured: Captured) -> None:
    """A generator that reuses one dict shows each state of it."""

    @captured.trace
    def states() -> Iterator[dict[str, int]]:
        state = {"n": 0}
        for _ in range(3):
            state["n"] += 1
            yield state

    @captured.trace
    def mixed() -> Iterator[Any]:
        yield "a"
        yield 1

    with captured.session():
        list(states())
        list(mixed())
    assert captured.event("states")["outputs"] == {"result": [{"n": 1}, {"n": 2}, {"n": 3}]}
    assert captured.event("mixed")["outputs"] == {"result": ["a", 1]}


def test_a_generator_without_chunks_or_capture_has_no_outputs(captured: Captured) -> None:
    """Nothing came; or it was not wanted."""

    @captured.trace
    def empty() -> Iterator[int]:
        yield from ()

    @captured.trace(capture=False)
    def secret() -> Iterator[str]:
        yield "password"

    with captured.session():
        list(empty())
        list(secret())
    assert "outputs" not in captured.event("empty")
    assert "outputs" not in captured.event("secret")
    assert captured.event("secret")["metrics"]["chunks"] == 1


def test_an_endless_stream_keeps_a_bounded_amount(captured: Captured) -> None:
    """A stream of a million chunks must not be kept whole."""
    fold = ChunkAccumulator()
    for _ in range(300_000):
        fold.add("word ")
    encoded = fold.encoded()
    assert len(encoded) < 200_000
    assert b"cut:" in encoded
    chunks = ChunkAccumulator()
    for number in range(50_000):
        chunks.add({"n": number})
    assert len(chunks.encoded()) < 50_000
    assert b"49000 more chunks" in chunks.encoded()


class Delta(pydantic.BaseModel):
    content: str | None = None
    tool_calls: list[Any] | None = None


class Choice(pydantic.BaseModel):
    delta: Delta
    finish_reason: str | None = None


class ChatCompletionChunk(pydantic.BaseModel):
    choices: list[Choice]
    usage: dict[str, int] | None = None


def openai_chunks() -> Iterator[ChatCompletionChunk]:
    for text in ("Hel", "lo"):
        yield ChatCompletionChunk(choices=[Choice(delta=Delta(content=text))])
    for name, arguments in (("look", '{"q"'), (None, ":1}")):
        call = SimpleNamespace(
            index=0, id="c1", function=SimpleNamespace(name=name, arguments=arguments)
        )
        yield ChatCompletionChunk(choices=[Choice(delta=Delta(tool_calls=[call]))])
    yield ChatCompletionChunk(choices=[Choice(delta=Delta(), finish_reason="stop")])
    yield ChatCompletionChunk(choices=[], usage={"total_tokens": 7})


EXPECTED = {
    "role": "assistant",
    "content": "Hello",
    "tool_calls": [{"id": "c1", "name": "look", "arguments": '{"q":1}'}],
    "finish_reason": "stop",
    "usage": {"total_tokens": 7},
}


def test_openai_deltas_become_the_message(captured: Captured) -> None:
    """As objects and as dicts."""

    @captured.trace(name="objects")
    def objects() -> Iterator[Any]:
        yield from openai_chunks()

    @captured.trace(name="dicts")
    def dicts() -> Iterator[Any]:
        for chunk in openai_chunks():
            plain = chunk.model_dump(exclude_none=True, warnings=False)
            for choice in plain["choices"]:
                for call in choice["delta"].get("tool_calls", ()):
                    assert call
            yield plain

    with captured.session():
        list(objects())
        list(dicts())
    assert captured.event("objects")["outputs"] == EXPECTED
    assert captured.event("dicts")["outputs"]["content"] == "Hello"


def test_anthropic_events_become_the_message(captured: Captured) -> None:
    """Text, tool input in pieces, stop reason, usage."""

    def events() -> Iterator[dict[str, Any]]:
        yield {"type": "message_start", "message": {"usage": {"input_tokens": 3}}}
        yield {"type": "content_block_delta", "index": 0, "delta": {"text": "Hel"}}
        yield {"type": "content_block_delta", "index": 0, "delta": {"text": "lo"}}
        block = {"type": "tool_use", "id": "t1", "name": "look"}
        yield {"type": "content_block_start", "index": 1, "content_block": block}
        yield {"type": "content_block_delta", "index": 1, "delta": {"partial_json": '{"q":1}'}}
        yield {
            "type": "message_delta",
            "delta": {"stop_reason": "tool_use"},
            "usage": {"output_tokens": 9},
        }
        yield {"type": "message_stop"}

    with captured.session():
        list(captured.trace(name="events")(events)())
    assert captured.event("events")["outputs"] == {
        "role": "assistant",
        "content": "Hello",
        "tool_calls": [{"id": "t1", "name": "look", "arguments": '{"q":1}'}],
        "finish_reason": "tool_use",
        "usage": {"output_tokens": 9},
    }


@pytest.mark.parametrize(
    "chunk",
    [
        {"choices": "none"},
        {"choices": [None]},
        {"choices": [{"delta": 5}]},
        {"type": "content_block_delta"},
        {"type": 5},
        SimpleNamespace(choices=[SimpleNamespace()]),
        pytest.param(object(), id="object"),
    ],
    ids=str,
)
def test_chunks_that_only_look_like_deltas_do_no_harm(captured: Captured, chunk: Any) -> None:
    """Somebody else's dict with a "choices" in it."""

    @captured.trace
    def chunks() -> Iterator[Any]:
        yield chunk
        yield "text"

    with captured.session():
        assert list(chunks()) == [chunk, "text"]
    assert "outputs" in captured.event("chunks")


class Response:
    """A client's stream: iterable, closable, with attributes of its own."""

    def __init__(self, chunks: list[Any]) -> None:
        self.chunks = chunks
        self.closed = False
        self.status = 200

    def __iter__(self) -> Iterator[Any]:
        return iter(self.chunks)

    def close(self) -> None:
        self.closed = True

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def test_a_watched_stream_tells_the_span_it_is_read_in(captured: Captured) -> None:
    """`for chunk in st.stream(response)` inside the span of the call."""
    with captured.session(), captured.span("call", "model"):
        response = Response(["a", "b"])
        stream = watch(captured.recorder, response)
        assert stream.status == 200
        assert list(stream) == ["a", "b"]  # type: ignore[arg-type]
    event = captured.event("call")
    assert event["outputs"] == {"result": "ab"}
    assert event["metrics"]["chunks"] == 2
    assert "time_to_first_chunk_ms" in event["metrics"]
    assert len(captured.events) == 1


def test_outputs_set_by_hand_win_over_the_chunks(captured: Captured) -> None:
    """The user knows better what the step gave."""
    with captured.session(), captured.span("call") as span:
        span.set(outputs="mine")
        list(watch(captured.recorder, ["a"]))  # type: ignore[arg-type]
    assert captured.event("call")["outputs"] == {"result": "mine"}


def test_a_stream_read_after_its_span_ended_updates_the_event(captured: Captured) -> None:
    """The function returned the stream, and the caller reads it later."""
    with captured.session():
        with captured.span("call") as span:
            stream = watch(captured.recorder, Response(["a", "b"]))
        assert list(stream) == ["a", "b"]  # type: ignore[arg-type]
    (update,) = captured.of("update")
    assert update["event_id"] == span.event_id
    assert update["session_id"] == span.session_id
    assert update["metrics"]["chunks"] == 2
    assert update["outputs"] == {"result": "ab"}


def test_a_stream_without_a_span_or_with_a_name_gets_its_own(captured: Captured) -> None:
    """With `name=` it is a model event of its own, below the current span."""
    with captured.session(), captured.span("call"):
        list(watch(captured.recorder, ["a"], name="answer"))  # type: ignore[arg-type]
    list(watch(captured.recorder, ["b"]))  # type: ignore[arg-type]
    assert captured.parent_of("answer") == "call"
    assert captured.event("answer")["event_type"] == "model"
    assert captured.event("stream")["outputs"] == {"result": "b"}


def test_a_stream_left_or_closed_or_failing_says_so(captured: Captured) -> None:
    """break, close(), `with`, and an error in the middle."""

    def failing() -> Iterator[str]:
        yield "a"
        raise OSError("connection lost")

    with captured.session():
        for _ in watch(captured.recorder, ["a", "b"], name="broken off"):  # type: ignore[union-attr]
            break
        stream = watch(captured.recorder, response := Response(["a"]), name="closed")
        next(stream)  # type: ignore[call-overload]
        stream.close()  # type: ignore[unused-coroutine]
        assert response.closed
        with watch(captured.recorder, response := Response(["a"]), name="block") as inside:  # type: ignore[union-attr]
            next(inside)
        assert response.closed
        with pytest.raises(OSError, match="lost"):
            list(watch(captured.recorder, failing(), name="failing"))  # type: ignore[arg-type]
    assert captured.event("broken off")["metadata"]["stream_end"] == "dropped"
    assert captured.event("closed")["metadata"]["stream_end"] == "closed"
    assert captured.event("block")["metadata"]["stream_end"] == "closed"
    assert captured.event("failing")["error"] == "OSError: connection lost"
    assert captured.event("failing")["outputs"] == {"result": "a"}


@pytest.mark.asyncio
async def test_async_streams_are_watched_likewise(captured: Captured) -> None:
    """async for, aclose, async with; and spans opened by the reader are the reader's."""

    async def words() -> AsyncIterator[str]:
        async with captured.span("making"):
            yield "a"
            await asyncio.sleep(0)
            yield "b"

    async with captured.session():
        async for word in watch(captured.recorder, words(), name="all"):  # type: ignore[union-attr]
            async with captured.span(f"use {word}"):
                pass
        stream = watch(captured.recorder, words(), name="some")
        async with stream as inside:  # type: ignore[union-attr]
            assert await inside.__anext__() == "a"
        await stream.aclose()  # type: ignore[union-attr]
    assert captured.event("all")["outputs"] == {"result": "ab"}
    assert captured.parent_of("use a") == captured.parent_of("use b") == "session"
    assert captured.event("some")["metadata"]["stream_end"] == "closed"
    assert [e["event_name"] for e in captured.events].count("making") == 2
