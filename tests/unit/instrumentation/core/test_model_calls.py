"""Calls, observed streams and inferred tools: one event for each call, however it ends."""

from __future__ import annotations

import contextvars
import gc
from collections.abc import Iterator
from typing import Any

import pydantic
import pytest
from support.instrumented import ModelTracer

from sessiontrace.instrumentation.core.model_calls import Answer, CallRecorder, open_call
from sessiontrace.instrumentation.core.stream_observer import Chunks, LoopedChunks, StreamObserver
from sessiontrace.instrumentation.core.stream_proxy import watch_object, watch_response
from sessiontrace.instrumentation.openai_family.chat_format import ChatAssembler


class Words:
    """An assembler that keeps texts, and refuses anything else."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def add(self, chunk: Any) -> None:
        self.words.append(chunk.upper())

    def answer(self) -> Answer:
        return Answer({"content": " ".join(self.words)}, {"words": len(self.words)})


def observer_of(tracing: ModelTracer, assembler: Any = None) -> StreamObserver:
    call = CallRecorder(tracing).model("chat m", inputs={}, config={"model": "m"})
    assert call is not None
    return StreamObserver(
        call, assembler or Words(), {"http_status": 200}, lambda error: {"described": True}
    )


def test_tokens_count_once_over_the_layers_and_add_up_in_one() -> None:
    """A framework calls a router, which calls an SDK twice; all but the framework count tokens."""
    tracing = ModelTracer()
    calls = CallRecorder(tracing)
    with tracing.session():
        framework = calls.model("framework")
        assert framework is not None
        with framework:
            for router_counts in ({}, {"total_tokens": 10}):
                router = calls.model("router")
                assert router is not None
                with router:
                    for _ in range(2):
                        sdk = calls.model("sdk")
                        assert sdk is not None
                        sdk.end(metadata={"total_tokens": 3, "request_id": "r"})
                router.end(metadata=router_counts)
        framework.end()

    assert tracing.model["metadata"]["total_tokens"] == 6 + 10
    assert tracing.model["metadata"]["request_id"] == "r"


def test_what_only_an_inner_call_knows() -> None:
    """The outer one has no inputs, and fails before it has outputs: the event has the inner's."""
    tracing = ModelTracer()
    calls = CallRecorder(tracing)
    with tracing.session():
        outer = calls.model("outer")
        assert outer is not None
        with outer:
            inner = calls.model("inner", inputs={"prompt": "q"})
            assert inner is not None
            inner.end(outputs={"content": "not JSON"})
        outer.fail(ValueError("not JSON"))

    assert tracing.model["inputs"] == {"prompt": "q"}
    assert tracing.model["outputs"] == {"content": "not JSON"}
    assert "not JSON" in tracing.model["error"]


def test_the_outermost_call_is_the_event() -> None:
    """A library calls another one: the inner call only adds what is not known yet."""
    tracing = ModelTracer()
    calls = CallRecorder(tracing)
    with tracing.session():
        outer = calls.model("outer", config={"model": "m"})
        assert outer is not None
        with outer:
            inner = calls.model("inner", config={"model": "other", "provider": "p"})
            assert inner is not None
            with inner:
                assert open_call.get() is inner
            inner.end(outputs="inner", metadata={"total_tokens": 3, "request_id": "r"})
            assert open_call.get() is outer
        outer.end(outputs={"content": "outer"}, metadata={"finish_reason": "stop"})

    event = tracing.model
    assert event["event_name"] == "outer"
    assert event["config"] == {"model": "m", "provider": "p"}
    assert event["outputs"] == {"content": "outer"}
    assert event["metadata"] == {"total_tokens": 3, "request_id": "r", "finish_reason": "stop"}


def test_a_tool_inside_a_model_span_may_call_a_model() -> None:
    """Only the innermost span decides whether a call is part of one that is open."""
    tracing = ModelTracer()
    with tracing.session(), tracing.span("agent", "model"), tracing.span("look", "tool"):
        call = CallRecorder(tracing).model("chat m")
        assert call is not None
        call.end()

    assert [event["event_name"] for event in tracing.events] == ["chat m", "look", "agent"]


def test_a_call_that_nobody_ends_takes_in_no_call_of_another_session() -> None:
    """A library that never reports an end must not hide the later calls of its context."""
    tracing, other = ModelTracer(), ModelTracer()
    calls = CallRecorder(tracing)

    def run() -> None:
        with tracing.session():
            lost = calls.model("lost")
            assert lost is not None
            lost.begin()
            inner = calls.model("part of it")
            assert inner is not None
            inner.end()
        assert tracing.events == []
        for recording, name in ((tracing, "later"), (other, "of another tracer")):
            with recording.session():
                call = CallRecorder(recording).model(name)
                assert call is not None
                call.end()
        outside = calls.model("outside")
        assert outside is not None
        outside.end()

    contextvars.copy_context().run(run)
    assert [event["event_name"] for event in tracing.events] == ["later", "outside"]
    assert [event["event_name"] for event in other.events] == ["of another tracer"]


def test_a_call_ends_once() -> None:
    """The first end counts; later ones do nothing."""
    tracing = ModelTracer()
    with tracing.session():
        call = CallRecorder(tracing).model("chat m")
        assert call is not None
        call.end(outputs="first")
        call.end(outputs="second")
        call.fail(ValueError("late"))

    assert tracing.model["outputs"] == {"result": "first"}
    assert tracing.model.get("error") is None


def test_nothing_is_opened_when_off() -> None:
    """Switched off, uninstrumented, or before there is anything to record to."""
    tracing = ModelTracer()
    calls = CallRecorder(tracing)
    tracing.off = True
    assert calls.model("m") is None
    tracing.off = False
    calls.enabled = False
    assert calls.tool("t") is None
    assert calls.chain("c") is None
    assert tracing.records == []


@pytest.mark.parametrize("kind", [Chunks, LoopedChunks])
@pytest.mark.parametrize("way", ["read out", "closed", "failed", "dropped", "dropped half-read"])
def test_a_stream_ends_its_call_once(way: str, kind: type[Chunks]) -> None:
    """However it ends, with what had come by then."""
    tracing = ModelTracer()

    def words() -> Iterator[str]:
        yield "one"
        yield "two"
        if way == "failed":
            raise ValueError("broken")

    class Stream:
        def __init__(self, inner: Any) -> None:
            self.inner = inner

    with tracing.session():
        observer = observer_of(tracing)
        chunks = kind(words(), observer)
        stream = Stream(chunks)
        observer.follow(stream)
        if way == "read out":
            assert list(chunks) == ["one", "two"]
        elif way == "failed":
            with pytest.raises(ValueError, match="broken"):
                list(chunks)
        elif way != "dropped":
            assert next(iter(chunks)) == "one"
        if way == "closed":
            observer.end("closed")
        del stream, chunks
        gc.collect()

    event = tracing.model
    count = {"read out": 2, "failed": 2, "closed": 1, "dropped": 0, "dropped half-read": 1}[way]
    assert event["metadata"]["words"] == count
    assert event["metadata"]["http_status"] == 200
    ends = {"closed": "closed", "dropped": "dropped", "dropped half-read": "dropped"}
    assert event["metadata"].get("stream_end") == ends.get(way)
    assert event.get("error") == ("ValueError: broken" if way == "failed" else None)
    assert event["metadata"].get("described") == (True if way == "failed" else None)
    assert event.get("metrics", {}).get("chunks", 0) == count


def test_the_loop_over_a_stream_may_be_left_and_gone_on_with() -> None:
    """To leave it closes neither the stream nor its call."""
    tracing = ModelTracer()
    with tracing.session():
        observer = observer_of(tracing)
        chunks = LoopedChunks((word for word in ("one", "two", "three")), observer)
        for chunk in chunks:
            assert chunk == "one"
            break
        gc.collect()
        assert not observer.call.ended
        assert next(chunks) == "two"
        assert list(chunks) == ["three"]

    assert tracing.model["metrics"]["chunks"] == 3
    assert "stream_end" not in tracing.model["metadata"]


@pytest.mark.parametrize("kind", [Chunks, LoopedChunks])
def test_chunks_of_an_unknown_form_are_counted_and_passed_on(kind: type[Chunks]) -> None:
    """Reading a chunk may fail; the user's loop does not."""
    tracing = ModelTracer()
    with tracing.session():
        assert list(kind(iter([1, "two", 3]), observer_of(tracing))) == [1, "two", 3]

    assert tracing.model["outputs"] == {"content": "TWO"}
    assert tracing.model["metadata"]["unread_chunks"] == 2


def test_a_response_is_its_own_class_again_when_closed() -> None:
    """While it is watched it is a subclass; afterwards nothing is left of us."""

    class Response:
        closed = False

        def close(self) -> None:
            self.closed = True

    tracing = ModelTracer()
    response = Response()
    with tracing.session():
        watch_response(response, observer_of(tracing))
        assert isinstance(response, Response)
        assert type(response).__name__ == "Response"
        response.close()

    assert type(response) is Response
    assert vars(response) == {"closed": True}
    assert tracing.model["metadata"]["stream_end"] == "closed"


def test_a_stream_object_is_watched_by_its_class() -> None:
    """An object that iterates by its own methods keeps them, and its kind."""

    class Stream:
        def __init__(self) -> None:
            self.left = ["one", "two"]

        def __iter__(self) -> Stream:
            return self

        def __next__(self) -> str:
            if not self.left:
                raise StopIteration
            return self.left.pop(0)

    tracing = ModelTracer()
    with tracing.session():
        stream = Stream()
        watch_object(stream, observer_of(tracing))
        assert isinstance(stream, Stream)
        assert list(stream) == ["one", "two"]

    assert tracing.model["outputs"] == {"content": "ONE TWO"}


ASKED = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {
            "id": "c1",
            "type": "function",
            "function": {"name": "weather", "arguments": '{"city":"Oslo"}'},
        }
    ],
}


def ask(calls: CallRecorder, history: list[Any], outputs: Any) -> None:
    call = calls.model("chat m", inputs={"chat_history": history})
    assert call is not None
    call.end(outputs=outputs)


@pytest.mark.parametrize(
    "answer",
    [
        {"role": "tool", "tool_call_id": "c1", "content": "rain"},
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "rain"}],
        },
        {"type": "function_call_output", "call_id": "c1", "output": "rain"},
    ],
)
def test_a_tool_that_is_not_traced_is_inferred(answer: dict[str, Any]) -> None:
    """Asked for by one model call and answered before the next, in any API's form."""
    tracing = ModelTracer()
    calls = CallRecorder(tracing)
    calls.infer_tools()
    with tracing.session() as session:
        ask(calls, [], ASKED)
        ask(calls, [{"role": "user"}, ASKED, answer], {"content": "It rains"})

    (tool,) = [event for event in tracing.events if event["event_type"] == "tool"]
    assert tool["event_name"] == "weather"
    assert tool["inputs"] == {"city": "Oslo"}
    assert tool["outputs"] == {"result": "rain"}
    assert tool["metadata"]["inferred"] is True
    assert tool["parent_id"] == session.session_id
    first, second = [event for event in tracing.events if event["event_type"] == "model"]
    # Asked for within the first call: the two may lie on both sides of a millisecond.
    assert first["end_time"] - 1 <= tool["start_time"] <= tool["end_time"] <= second["start_time"]


def test_a_tool_that_is_traced_is_not_inferred() -> None:
    """The program records its tools itself: nothing is made up beside them."""
    tracing = ModelTracer()
    calls = CallRecorder(tracing)
    calls.infer_tools()
    with tracing.session():
        ask(calls, [], ASKED)
        with tracing.span("weather", "tool"):
            pass
        ask(calls, [ASKED, {"role": "tool", "tool_call_id": "c1", "content": "rain"}], {})

    assert [event["event_type"] for event in tracing.events] == ["model", "tool", "model"]
    assert "inferred" not in tracing.events[1].get("metadata", {})


class SdkModel(pydantic.BaseModel, extra="allow"):
    """What all parts of the SDKs' chunks are made of."""


class Delta(SdkModel):
    content: Any = None
    refusal: Any = None
    tool_calls: Any = None


class Choice(SdkModel):
    delta: Delta
    index: int
    finish_reason: Any = None


class Chunk(SdkModel):
    id: str
    model: str
    choices: list[Choice]
    usage: Any = None


def chunk(delta: dict[str, Any], index: int = 0, **fields: Any) -> dict[str, Any]:
    reason = fields.pop("finish_reason", None)
    choices = [{"index": index, "delta": delta, "finish_reason": reason}]
    return {"id": "c", "model": "m", "choices": choices, **fields}


CALL = {"index": 0, "id": "t", "function": {"name": "weather", "arguments": "{"}}
CALL_REST = {"index": 0, "function": {"arguments": "}"}}
USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


@pytest.mark.parametrize("make", [dict, Chunk.model_validate], ids=["dicts", "objects"])
def test_chunks_of_every_form_add_up(make: Any) -> None:
    """Also what comes beside a piece of text: a tool call, thoughts, the reason, the usage."""
    assembler = ChatAssembler()
    for fields in (
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "a"}),
        chunk({"content": "b"}),
        chunk({"content": "c", "tool_calls": [CALL]}),
        chunk({"tool_calls": [CALL_REST]}),
        chunk({"content": "d", "reasoning_content": "hm"}),
        chunk({"content": "other"}, index=1),
        chunk({"refusal": "no"}, index=1),
        chunk({"content": "e"}, finish_reason="stop", usage=USAGE),
        chunk({}, index=1, finish_reason="stop"),
        {**chunk({}), "choices": []},
    ):
        assembler.add(make(fields))

    outputs, metadata = assembler.answer()
    first, second = outputs["choices"]
    assert first["content"] == "abcde"
    assert first["reasoning"] == "hm"
    assert first["tool_calls"][0]["function"] == {"name": "weather", "arguments": "{}"}
    assert second == {"role": "assistant", "content": "other", "refusal": "no"}
    assert metadata == {
        **USAGE,
        "response_id": "c",
        "response_model": "m",
        "finish_reason": "stop",
    }
