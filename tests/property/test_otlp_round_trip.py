"""A session that goes over OTLP to ``sessiontrace serve`` is the one that the local store has."""

from __future__ import annotations

import contextlib
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.genai_schemas import faults_of
from support.otlp_round_trip import bodies, received, sent, stored
from support.recording_tracer import Captured

from sessiontrace.capture.updates import score, update_ended
from sessiontrace.model.record import OPEN, START, Record

_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["", "[1]", '{"a": 1}', "{", "null", '"x"', "ünï 🧵", "1e5", "a.b", "parts", "x" * 70]
)
_NUMBERS = (
    st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([0, 0.0, -0.0, 1, 1.0, 2**53 + 1, 2**63, 2**64 - 1, 1e300, 0.1 + 0.2])
)
_LEAVES = st.none() | st.booleans() | _NUMBERS | _TEXTS
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=6,
)
_ARGUMENTS = (
    st.dictionaries(_TEXTS, _LEAVES, max_size=2).map(lambda plain: orjson.dumps(plain).decode())
    | st.sampled_from(['{"city": "Genoa", "days": [1, 2]}', "{", "", "7", '{"a":1e400}', "{} "])
    | _VALUES
)
_CALLS = st.fixed_dictionaries(
    {"function": st.fixed_dictionaries({"name": _TEXTS, "arguments": _ARGUMENTS})},
    optional={"id": _TEXTS, "type": st.just("function"), "index": st.integers(0, 3)},
)
_PARTS = st.one_of(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["text", "input_text", "output_text"]), "text": _LEAVES},
        optional={"cache_control": st.just({"type": "ephemeral"}), "annotations": st.just([])},
    ),
    st.fixed_dictionaries(
        {"type": st.just("tool_use"), "id": _TEXTS, "name": _TEXTS, "input": _VALUES}
    ),
    st.fixed_dictionaries({"type": st.just("tool_result"), "tool_use_id": _TEXTS},
                          optional={"content": _VALUES, "is_error": st.booleans()}),
    st.fixed_dictionaries({"type": st.just("thinking"), "thinking": _TEXTS},
                          optional={"signature": _TEXTS}),
    st.sampled_from([
        {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": {"media_type": "image/png", "bytes": 9}}},
        {"type": "input_image", "image_url": "https://x/y.png"},
        {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
        {"type": "input_audio", "input_audio": {"data": {"bytes": 3}, "format": "wav"}},
        {"type": "text", "content": "already"}, {"type": "reasoning", "content": "hm"},
        {"type": "tool_call", "name": "f", "arguments": {}}, {"type": "uri", "modality": "image"},
        {"text": "Gemini's"}, {"function_call": {"name": "f", "args": {"a": 1}}},
        {"function_response": {"name": "f", "response": {"b": 2}}}, {"inline_data": {"bytes": 1}},
    ]),
    _LEAVES,
)  # fmt: skip
_MESSAGES = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "system", "tool", "developer"])},
    optional={
        "content": _TEXTS | st.lists(_PARTS, max_size=3) | _VALUES,
        "tool_calls": st.lists(_CALLS, max_size=2) | _VALUES,
        "reasoning": _TEXTS | _VALUES,
        "tool_call_id": _TEXTS,
        "name": _LEAVES,
        "refusal": st.none(),
        "finish_reason": _LEAVES,
        "parts": st.lists(_PARTS, max_size=2),
    },
)
_ITEMS = st.fixed_dictionaries(
    {"type": st.just("function_call"), "call_id": _TEXTS, "name": _TEXTS, "arguments": _ARGUMENTS},
    optional={"id": _TEXTS, "status": st.just("completed")},
) | st.fixed_dictionaries(
    {"type": st.just("function_call_output"), "call_id": _TEXTS, "output": _VALUES}
)
_PLAIN = st.fixed_dictionaries({"role": st.sampled_from(["user", "tool"]), "content": _TEXTS})
_CHATS = st.lists(_MESSAGES | _ITEMS, max_size=3) | st.lists(_PLAIN, max_size=3)
_INPUTS = st.fixed_dictionaries(
    {},
    optional={
        "chat_history": _CHATS,
        "messages": _CHATS | _VALUES,
        "system": _TEXTS | st.lists(_PARTS, max_size=2),
        "k": _VALUES,
    },
)
_CHOICES = st.fixed_dictionaries(
    {"message": _MESSAGES}, optional={"finish_reason": _LEAVES, "index": st.integers(0, 2)}
)
_OUTPUTS = st.one_of(
    _MESSAGES,
    st.fixed_dictionaries({"choices": st.lists(_CHOICES | _MESSAGES, max_size=2)},
                          optional={"id": _TEXTS}),
    st.dictionaries(st.sampled_from(["result", "text"]) | _TEXTS, _VALUES, max_size=2),
    _VALUES,
)  # fmt: skip
_TOOLS = st.lists(
    st.sampled_from([
        {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}},
        {"type": "function", "function": {"name": "f", "type": "odd"}, "strict": True},
        {"name": "f", "input_schema": {"type": "object"}}, {"type": "custom", "name": "f"},
        {"type": "function", "name": "f", "parameters": None}, {"type": "web_search"},
        {"function_declarations": [{"name": "a"}, {"name": "b"}]}, {"google_search": {}}, "f", 7,
    ]),
    max_size=3,
) | _VALUES  # fmt: skip
_PARAMETERS = st.dictionaries(
    st.sampled_from(["temperature", "top_k", "max_tokens", "max_completion_tokens", "stop", "n",
                     "max_output_tokens", "stop_sequences", "stream", "seed", "reasoning_effort",
                     "response_format", "own"]),
    _LEAVES | st.lists(_TEXTS, max_size=2) | st.just({"type": "json_object"}),
    max_size=4,
)  # fmt: skip
_CONFIG = st.fixed_dictionaries(
    {},
    optional={
        "model": _TEXTS | _VALUES, "provider": _TEXTS, "tools": _TOOLS,
        "hyperparameters": _PARAMETERS | _VALUES, "type": st.sampled_from(["embedding", 1]),
    },
) | st.dictionaries(_TEXTS, _VALUES, max_size=3)  # fmt: skip
_METADATA = st.dictionaries(
    st.sampled_from(["prompt_tokens", "completion_tokens", "total_tokens", "cost", "response_id",
                     "finish_reason", "agent_name", "operation", "tags", "tool_call_id", "0", "1",
                     "server_port", "cache_write_tokens", "session_id", "error", "otel", ""])
    | _TEXTS,
    _LEAVES | st.lists(_TEXTS, max_size=2) | _VALUES
    | st.sampled_from(["chat", "retrieval", "invoke_agent", "plan", "stop", ["stop"], 3, 0.5]),
    max_size=4,
)  # fmt: skip
_SCORES = st.dictionaries(
    _TEXTS | st.sampled_from(["time_to_first_chunk_ms", "rating"]), _VALUES, max_size=3
)
_PEOPLE = st.dictionaries(_TEXTS | st.sampled_from(["user_id", "name"]), _VALUES, max_size=2)
_PARTS_OF_A_STEP = {
    "inputs": _INPUTS,
    "outputs": _OUTPUTS,
    "config": _CONFIG,
    "metadata": _METADATA,
    "metrics": _SCORES,
    "feedback": _SCORES,
    "user_properties": _PEOPLE,
}
_LATER = {name: _PARTS_OF_A_STEP[name] for name in _PARTS_OF_A_STEP if name != "user_properties"}
_OF_A_SESSION = {
    "session_id": _TEXTS | st.just("01890000-0000-7000-8000-0000000000AB"),
    "user": _TEXTS,
    "source": _TEXTS,
    "tags": st.lists(_TEXTS, max_size=2),
    "metadata": _METADATA,
    "user_properties": _PEOPLE,
    "config": _CONFIG,
    "inputs": _INPUTS,
}


@st.composite
def some(draw: st.DrawFn, strategies: dict[str, st.SearchStrategy[Any]]) -> dict[str, Any]:
    """Some of these arguments."""
    names = draw(st.sets(st.sampled_from(sorted(strategies)), max_size=3))
    return {name: draw(strategies[name]) for name in sorted(names)}


@st.composite
def steps(draw: st.DrawFn, depth: int = 2) -> list[Any]:
    """Spans: name, type, values, error and the spans within."""
    return [
        (
            draw(_TEXTS),
            draw(st.sampled_from(["chain", "model", "model", "tool"])),
            draw(some(_PARTS_OF_A_STEP)),
            draw(st.none() | st.none() | _TEXTS),
            draw(steps(depth - 1)) if depth else [],
        )
        for _ in range(draw(st.integers(0, 2)))
    ]


def run(traced: Captured, spans: list[Any]) -> None:
    """The spans of a program, each with what it was given; the fourth of a tuple: its error."""
    for name, kind, values, error, inner in spans:
        with contextlib.suppress(ValueError), traced.span(name, kind) as span:
            span.set(**values)
            run(traced, inner)
            if error is not None:
                try:
                    raise KeyError(error)
                except KeyError as cause:
                    raise ValueError(error) from cause


def unequal(here: dict[str, Any], there: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Each column that differs, with both of its values."""
    assert here.keys() == there.keys()
    return [
        (row, column, value, there[row][column])
        for row, columns in here.items()
        for column, value in columns.items()
        if value != there[row][column]
    ]


def recorded(
    session: dict[str, Any], spans: list[Any], values: dict[str, Any], scores: list[Any]
) -> list[Record]:
    """The records of one session and of late scores of it, as a spool has them."""
    traced = Captured()
    with traced.session(**session) as handle:
        run(traced, spans)
        handle.set(**values)
    for name, value, comment, of_event, parts in scores:
        target = handle.event_id if of_event else None
        score(traced.recorder, None, name, value, comment, handle.session_id, target)
        if parts:
            outputs = parts.pop("outputs", None)
            encoded = {} if outputs is None else {"outputs": orjson.dumps({"late": outputs})}
            update_ended(handle, {**parts, **encoded})
    return [
        Record(kind.encode() if isinstance(kind, str) else kind, b"*", body)
        for (kind, _), body in zip(traced.records, traced.bodies, strict=True)
    ]


_LATE = st.tuples(
    _TEXTS,
    _NUMBERS | st.booleans() | _TEXTS,
    st.none() | _TEXTS,
    st.booleans(),
    some({"outputs": _VALUES, "metrics": _SCORES, "metadata": _METADATA, "feedback": _SCORES}),
)


@pytest.mark.parametrize("protobuf", [True, False], ids=["protobuf", "json"])
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(
    session=some(_OF_A_SESSION),
    spans=steps(),
    values=some(_LATER),
    scores=st.lists(_LATE, max_size=2),
    repeated=st.booleans(),
)
def test_D24_serve_stores_the_session_that_the_local_destination_stores(
    protobuf: bool,
    session: dict[str, Any],
    spans: list[Any],
    values: dict[str, Any],
    scores: list[Any],
    repeated: bool,
) -> None:
    """Whatever a program gives its spans: each field of each record, each column.

    On the way, the attributes of the conventions are what the conventions' schemas allow.
    """
    records = recorded(session, spans, values, scores)
    for body in bodies(records, protobuf=protobuf):
        for span in received(body, protobuf=protobuf):
            assert faults_of(span.attributes) == []
    converted = sent(records, protobuf=protobuf, repeated=repeated)
    assert converted.rejected == 0
    there = stored([*converted.sessions.values(), *converted.records])
    whole = [record for record in records if record.kind not in (START, OPEN)]
    assert unequal(stored(whole), there) == []
    assert unequal(stored(records), there) == []
