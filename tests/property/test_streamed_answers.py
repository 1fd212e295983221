"""A streamed answer is the whole one, and one that is cut at any chunk is a prefix of it."""

from __future__ import annotations

import contextlib
import copy
import itertools
import re
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.answers import (
    anthropic,
    cohere,
    converse,
    gemini,
    groq,
    invoke_model,
    mistral,
    ollama,
    openai_chat,
    openai_responses,
)
from support.answers.case import KINDS, Part, Wire, is_prefix

from sessiontrace.instrumentation.cloud_formats.converse import ConverseAssembler, converse_answer
from sessiontrace.instrumentation.cloud_formats.gemini import GeminiAssembler
from sessiontrace.instrumentation.cloud_formats.invoke_model import InvokeAssembler, invoke_answer
from sessiontrace.instrumentation.libraries.cohere import CohereAssembler, cohere_answer
from sessiontrace.instrumentation.libraries.ollama import OllamaAssembler, ollama_answer
from sessiontrace.instrumentation.openai_family.anthropic_messages import (
    MessageAssembler,
    message_answer,
)
from sessiontrace.instrumentation.openai_family.chat_format import ChatAssembler, chat_answer
from sessiontrace.instrumentation.openai_family.responses_format import (
    ResponseAssembler,
    response_answer,
)


def chat_chunk(delta: dict[str, Any], **fields: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": fields.pop("finish_reason", None)}
    return {"id": "c1", "model": "m", "choices": [choice], **fields}


def chat_call(call_id: str | None, name: str | None, arguments: str) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"tool_calls": [{"index": 0, "id": call_id, "function": function}]}


CHAT_CHUNKS: list[Any] = [
    {"id": "", "model": "", "choices": [], "prompt_filter_results": [{"ok": True}]},
    chat_chunk({"role": "assistant", "content": ""}),
    chat_chunk({"content": "Hel"}),
    chat_chunk({"content": "lo", "annotations": [{"type": "url_citation", "url": "u"}]}),
    chat_chunk({"reasoning": "why"}),
    chat_chunk({"reasoning_details": [{"index": 0, "type": "reasoning.text", "text": "w"}]}),
    chat_chunk({"reasoning_details": [{"index": 0, "type": "reasoning.text", "text": "hy"}]}),
    chat_chunk({"images": [{"url": "i"}]}),
    chat_chunk({"audio": {"id": "a1", "transcript": "He"}}),
    chat_chunk({"audio": {"id": "a1", "transcript": "llo"}}),
    chat_chunk(chat_call("t1", "f", '{"x"')),
    chat_chunk(chat_call(None, None, ":1}")),
    chat_chunk(chat_call("t2", "g", '{"y":2}')),
    chat_chunk({"refusal": "no"}),
    chat_chunk({}, finish_reason="tool_calls"),
    {
        "id": "",
        "model": "",
        "choices": [],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "cost": 0.5},
    },
]
CHAT_WHOLE: Any = {
    "id": "c1",
    "model": "m",
    "prompt_filter_results": [{"ok": True}],
    "choices": [
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "message": {
                "role": "assistant",
                "content": "Hello",
                "annotations": [{"type": "url_citation", "url": "u"}],
                "reasoning": "why",
                "reasoning_details": [{"index": 0, "type": "reasoning.text", "text": "why"}],
                "images": [{"url": "i"}],
                "audio": {"id": "a1", "transcript": "Hello"},
                "tool_calls": [
                    {"id": "t1", "function": {"name": "f", "arguments": '{"x":1}'}},
                    {"id": "t2", "function": {"name": "g", "arguments": '{"y":2}'}},
                ],
                "refusal": "no",
            },
        }
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "cost": 0.5},
}

ITEMS: list[Any] = [
    {
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "think"}],
        "encrypted_content": "sealed",
    },
    {
        "type": "message",
        "content": [
            {"type": "output_text", "text": "Hello", "annotations": [{"url": "u"}]},
            {"type": "refusal", "refusal": "no"},
        ],
    },
    {"type": "function_call", "call_id": "t1", "name": "f", "arguments": '{"x":1}'},
    {"type": "custom_tool_call", "call_id": "t2", "name": "g", "input": "go"},
    {"type": "mcp_call", "id": "m1", "name": "h", "arguments": "{}", "output": "done"},
    {"type": "of tomorrow", "payload": 1},
]


def response(**fields: Any) -> dict[str, Any]:
    usage = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    return {"id": "r1", "model": "m", "output": ITEMS, "usage": usage, **fields}


def response_delta(index: int, kind: str, delta: str) -> dict[str, Any]:
    return {"type": f"response.{kind}.delta", "output_index": index, "delta": delta}


def response_item(index: int, **empty: Any) -> list[Any]:
    added = {**ITEMS[index], **empty}
    return [{"type": "response.output_item.added", "output_index": index, "item": added}]


def response_done(index: int) -> list[Any]:
    return [{"type": "response.output_item.done", "output_index": index, "item": ITEMS[index]}]


RESPONSE_CHUNKS: list[Any] = [
    {"type": "response.created", "response": {"id": "r1", "model": "m", "output": []}},
    *response_item(0, summary=[], encrypted_content=None),
    response_delta(0, "reasoning_summary_text", "thi"),
    response_delta(0, "reasoning_summary_text", "nk"),
    *response_done(0),
    *response_item(1, content=[]),
    response_delta(1, "output_text", "Hel"),
    response_delta(1, "output_text", "lo"),
    response_delta(1, "refusal", "no"),
    *response_done(1),
    *response_item(2, arguments=""),
    response_delta(2, "function_call_arguments", '{"x"'),
    response_delta(2, "function_call_arguments", ":1}"),
    *response_done(2),
    *response_item(3, input=""),
    response_delta(3, "custom_tool_call_input", "go"),
    *response_done(3),
    *response_item(4, arguments="", output=None),
    response_delta(4, "mcp_call_arguments", "{}"),
    *response_done(4),
    *response_item(5),
    *response_done(5),
    {"type": "response.completed", "response": response(status="completed")},
]


def block_start(index: int, block: dict[str, Any]) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def block_delta(index: int, **delta: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": delta}


MESSAGE_CHUNKS: list[Any] = [
    {
        "type": "message_start",
        "message": {
            "id": "m1",
            "model": "m",
            "role": "assistant",
            "content": [],
            "usage": {"input_tokens": 1, "output_tokens": 0, "cache_read_input_tokens": 4},
        },
    },
    block_start(0, {"type": "thinking", "thinking": "", "signature": ""}),
    block_delta(0, type="thinking_delta", thinking="hm"),
    block_delta(0, type="signature_delta", signature="sig"),
    block_start(1, {"type": "text", "text": ""}),
    block_delta(1, type="text_delta", text="Hel"),
    block_delta(1, type="citations_delta", citation={"cited_text": "c"}),
    block_delta(1, type="text_delta", text="lo"),
    block_start(2, {"type": "tool_use", "id": "t1", "name": "f", "input": {}}),
    block_delta(2, type="input_json_delta", partial_json='{"x"'),
    block_delta(2, type="input_json_delta", partial_json=":1}"),
    block_start(3, {"type": "server_tool_use", "id": "s1", "name": "search", "input": {}}),
    block_delta(3, type="input_json_delta", partial_json='{"q":"a"}'),
    block_start(4, {"type": "of tomorrow", "payload": 1}),
    {
        "type": "message_delta",
        "delta": {"stop_reason": "stop_sequence", "stop_sequence": "END"},
        "usage": {"output_tokens": 2, "server_tool_use": {"web_search_requests": 1}},
    },
    {"type": "message_stop"},
]
MESSAGE_WHOLE: Any = {
    "id": "m1",
    "model": "m",
    "type": "message",
    "role": "assistant",
    "content": [
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "text", "text": "Hello", "citations": [{"cited_text": "c"}]},
        {"type": "tool_use", "id": "t1", "name": "f", "input": {"x": 1}},
        {"type": "server_tool_use", "id": "s1", "name": "search", "input": {"q": "a"}},
        {"type": "of tomorrow", "payload": 1},
    ],
    "stop_reason": "stop_sequence",
    "stop_sequence": "END",
    "usage": {
        "input_tokens": 1,
        "output_tokens": 2,
        "cache_read_input_tokens": 4,
        "server_tool_use": {"web_search_requests": 1},
    },
}

FORMATS: list[Any] = [
    pytest.param(ChatAssembler, CHAT_CHUNKS, chat_answer, CHAT_WHOLE, id="chat"),
    pytest.param(
        ResponseAssembler,
        RESPONSE_CHUNKS,
        response_answer,
        response(status="completed"),
        id="responses",
    ),
    pytest.param(MessageAssembler, MESSAGE_CHUNKS, message_answer, MESSAGE_WHOLE, id="messages"),
]


def assembled(assembler: Callable[[], Any], chunks: list[Any]) -> Any:
    stream = assembler()
    for chunk in chunks:
        stream.add(chunk)
    return stream.answer()


@pytest.mark.parametrize(("assembler", "chunks", "read", "whole"), FORMATS)
def test_a_streamed_answer_is_the_whole_one(
    assembler: Any, chunks: list[Any], read: Any, whole: Any
) -> None:
    """Outputs and metadata are equal, and no part of the answer is missing."""
    outputs, metadata = assembled(assembler, chunks)

    assert outputs == read(whole)[0]
    assert metadata == read(whole)[1]


@pytest.mark.parametrize(("assembler", "chunks", "read", "whole"), FORMATS)
def test_a_cut_answer_is_a_prefix(assembler: Any, chunks: list[Any], read: Any, whole: Any) -> None:
    """Wherever the stream is cut, what has come is recorded in the shape of the whole answer."""
    outputs = read(whole)[0]
    sizes = []
    for end in range(len(chunks) + 1):
        cut = assembled(assembler, chunks[:end])[0]
        assert is_prefix(cut, outputs), (end, cut)
        sizes.append(len(repr(cut)))
    assert sizes[-1] > sizes[len(sizes) // 2] > sizes[0]


def test_a_failed_response_carries_its_error() -> None:
    """Whole and streamed alike; one that is incomplete is none, and says why it ended."""
    failure = {"code": "server_error", "message": "boom"}
    failed = response(status="failed", error=failure, output=[])
    streamed = assembled(ResponseAssembler, [{"type": "response.failed", "response": failed}])

    assert response_answer(failed).metadata["response_error"] == "boom"
    assert response_answer(failed).metadata["error_code"] == "server_error"
    assert streamed == response_answer(failed)
    incomplete = response(status="incomplete", incomplete_details={"reason": "max_output_tokens"})
    assert response_answer(incomplete).metadata["finish_reason"] == "max_output_tokens"
    assert "response_error" not in response_answer(incomplete).metadata


def test_streamed_legacy_function_calls_and_unnumbered_calls() -> None:
    """A ``function_call`` is a tool call; so is each of several whole calls without an id."""
    legacy = assembled(
        ChatAssembler,
        [
            chat_chunk({"function_call": {"name": "f", "arguments": '{"x"'}}),
            chat_chunk({"function_call": {"arguments": ":1}"}}),
        ],
    )
    (call,) = legacy.outputs["tool_calls"]
    assert call["function"] == {"name": "f", "arguments": '{"x":1}'}

    nameless = assembled(
        ChatAssembler,
        [chat_chunk(chat_call(None, "f", "{}")), chat_chunk(chat_call(None, "g", "{}"))],
    )
    assert [call["function"]["name"] for call in nameless.outputs["tool_calls"]] == ["f", "g"]

    twice = assembled(
        ChatAssembler,
        [chat_chunk(chat_call(None, "f", text)) for text in ('{"x":1', "}", '{"x":2}')],
    )
    arguments = [call["function"]["arguments"] for call in twice.outputs["tool_calls"]]
    assert arguments == ['{"x":1}', '{"x":2}']


def test_content_in_blocks_is_taken_apart() -> None:
    """Some providers stream lists of blocks between texts; blocks of other types are kept."""
    blocks = assembled(
        ChatAssembler,
        [
            chat_chunk({"content": [{"type": "thinking", "thinking": "hm"}]}),
            chat_chunk({"content": "so"}),
            chat_chunk({"content": [{"type": "reference", "reference_ids": [1]}]}),
        ],
    )
    assert blocks.outputs["content"] == "so"
    assert blocks.outputs["reasoning"] == "hm"
    assert blocks.outputs["blocks"] == [{"type": "reference", "reference_ids": [1]}]


def test_a_whole_message_in_a_stream_is_its_answer() -> None:
    """Some servers do not stream, and send the message where a delta would be."""
    message = {"role": "assistant", "content": "whole"}
    chunk = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    outputs, metadata = assembled(ChatAssembler, [chunk])

    assert outputs == message
    assert metadata == {"finish_reason": "stop"}


def test_an_error_in_the_body_of_a_message_is_its_error() -> None:
    """Who reads the body of a stream of Anthropic's gets it as an event, and no exception."""
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    outputs, metadata = assembled(MessageAssembler, [*MESSAGE_CHUNKS[:6], error])

    assert outputs["content"]
    assert metadata["response_error"] == "Overloaded"
    assert metadata["stream_end"] == "cut"


def gemini_answer(whole: Any) -> Any:
    """A whole answer, which is a stream of one chunk."""
    return assembled(lambda: GeminiAssembler(streamed=False), [whole])


def bedrock_event(chunk: Any) -> Any:
    """A chunk as Bedrock wraps it."""
    return {"chunk": {"bytes": orjson.dumps(chunk)}}


def as_it_is(chunk: Any) -> Any:
    """A chunk that its client does not wrap."""
    return chunk


def bedrock_answer(whole: Any) -> Any:
    """A whole body whose counts are its own."""
    return invoke_answer(whole, {})


# The wire, what composes an answer of it, the assembler, the reader, and a chunk's wrapping.
APIS: list[Any] = [
    pytest.param(wire, compose, assembler, read, wrapped, id=name)
    for name, wire, compose, assembler, read, wrapped in (
        ("chat", openai_chat.WIRE, openai_chat.composed, ChatAssembler, chat_answer, as_it_is),
        ("groq", groq.WIRE, openai_chat.composed, ChatAssembler, chat_answer, as_it_is),
        ("mistral", mistral.WIRE, openai_chat.composed, ChatAssembler, chat_answer, as_it_is),
        (
            "responses",
            openai_responses.WIRE,
            openai_responses.composed,
            ResponseAssembler,
            response_answer,
            as_it_is,
        ),
        (
            "anthropic",
            anthropic.WIRE,
            anthropic.composed,
            MessageAssembler,
            message_answer,
            as_it_is,
        ),
        ("gemini", gemini.WIRE, gemini.composed, GeminiAssembler, gemini_answer, as_it_is),
        (
            "converse",
            converse.WIRE,
            converse.composed,
            ConverseAssembler,
            converse_answer,
            as_it_is,
        ),
        *(
            (
                f"invoke model, {maker.__name__.rpartition('.')[2]}",
                invoke_model.WIRE,
                maker.composed,  # type: ignore[attr-defined]
                InvokeAssembler,
                bedrock_answer,
                bedrock_event,
            )
            for maker in (anthropic, openai_chat, converse)
        ),
        ("cohere", cohere.WIRE, cohere.composed, CohereAssembler, cohere_answer, as_it_is),
        ("ollama", ollama.WIRE, ollama.composed, OllamaAssembler, ollama_answer, as_it_is),
    )
]


@st.composite
def answers(draw: st.DrawFn) -> list[Part]:
    """Any answer; each of its words is in it once."""
    sizes = draw(st.lists(st.integers(1, 9), min_size=1, max_size=5))
    parts, number = [], 0
    for size in sizes:
        words = " ".join(f"w{place:02}" for place in range(number, number + size))
        parts.append(Part(draw(st.sampled_from(KINDS)), words, f"f{number}"))
        number += size
    return parts


WORD = re.compile(r"w\d\d")


@pytest.mark.parametrize(("wire", "compose", "assembler", "read", "wrapped"), APIS)
@given(data=st.data())
def test_any_answer_streamed_whole_or_cut_at_any_chunk(
    wire: Wire, compose: Any, assembler: Any, read: Any, wrapped: Any, data: st.DataObject
) -> None:
    """The stream has the record of the whole answer, and each cut of it all that had come."""
    whole = compose(data.draw(answers()))
    chunks = wire.chunks(whole, data.draw(st.integers(1, 12)))
    stream = assembler()
    cuts, arrived = [stream.answer()], set()
    for chunk in chunks:
        stream.add(wrapped(chunk))
        cuts.append(stream.answer())
        arrived |= set(WORD.findall(str(chunk)))
        assert arrived <= set(WORD.findall(str(cuts[-1].outputs)))

    outputs, metadata = read(whole)
    assert cuts[-1].outputs == outputs
    assert cuts[-1].metadata == {**cuts[-1].metadata, **metadata}
    for cut, further in itertools.pairwise(cuts):
        assert is_prefix(cut.outputs, further.outputs)
    ends = ["stream_end" in cut.metadata for cut in cuts]
    assert ends == sorted(ends, reverse=True)
    assert (ends[0], ends[-1]) == (True, False)


ODD: tuple[Any, ...] = (None, 5, True, "odd", [], {}, [None], {"odd": 1})


def places_in(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The place of each value inside a chunk."""
    if isinstance(value, (dict, list)):
        for step in value if isinstance(value, dict) else range(len(value)):
            yield (*place, step)
            yield from places_in(value[step], (*place, step))


def exchanged(value: Any, place: tuple[Any, ...], odd: Any) -> tuple[Any, Any]:
    """A copy of a chunk with another value at a place, and the value that was there."""
    copied = copy.deepcopy(value)
    inner = copied
    for step in place[:-1]:
        inner = inner[step]
    before, inner[place[-1]] = inner[place[-1]], odd
    return copied, before


@pytest.mark.parametrize(("wire", "compose", "assembler", "read", "wrapped"), APIS)
@given(data=st.data())
def test_one_odd_value_costs_no_more_than_itself(
    wire: Wire, compose: Any, assembler: Any, read: Any, wrapped: Any, data: st.DataObject
) -> None:
    """An answer is recorded without it, and where it was a piece of text, with all others."""
    chunks = wire.chunks(compose(data.draw(answers())), data.draw(st.integers(1, 12)))
    number = data.draw(st.integers(0, len(chunks) - 1))
    place = data.draw(st.sampled_from([*places_in(chunks[number])] or [()]))
    if not place:
        return
    chunk, before = exchanged(chunks[number], place, data.draw(st.sampled_from(ODD)))
    others = [*chunks[:number], *chunks[number + 1 :]]
    stream = assembler()
    for one in [*chunks[:number], chunk, *chunks[number + 1 :]]:
        with contextlib.suppress(TypeError, AttributeError, ValueError):  # it counts as unread
            stream.add(wrapped(one))
    outputs = stream.answer().outputs
    if isinstance(before, str) and " " in before and number < len(chunks) - 1:
        assert set(WORD.findall(str(others))) <= set(WORD.findall(str(outputs)))
