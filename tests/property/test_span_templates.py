"""A span written by a template has the bytes of one that was written the whole way."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sessiontrace.capture.encoding._record_body_py import assemble, encode_event
from sessiontrace.model.ids import PARENT_SPAN_ID, TRACE_ID, session_uuid
from sessiontrace.model.record import END, EVENT, START, Record
from sessiontrace.vendors.shared.session_cache import SessionCache
from sessiontrace.wire.span_attributes import DEFAULT_LIMITS, AttributeLimits
from sessiontrace.wire.span_templates.encodings import JSON, PROTOBUF
from sessiontrace.wire.span_templates.span_encoder import SpanEncoder
from sessiontrace.wire.span_templates.template import SpanEncoding
from sessiontrace.wire.span_writer import span_of

Parts = dict[str, Any]

T0 = 1_790_000_000_123_456_789

texts = st.text(max_size=8) | st.sampled_from(['"', "\\", '","metadata":{', "}", "{", "é"])
values = (
    st.none() | st.booleans() | st.integers(-9, 2**53) | st.just(2**63) | st.floats(0, 9) | texts
)
metadata = st.dictionaries(
    st.sampled_from(
        ["prompt_tokens", "cache_write_tokens", "cost", "response_id", "finish_reason", "tags",
         "total_tokens", "agent_name", "operation", "reasoning_tokens", TRACE_ID, PARENT_SPAN_ID,
         "k", "é"]
    ),
    values | st.lists(texts, max_size=2) | st.just({"k": {"l": 1}}) | st.just("ab" * 16)
    | st.just("ab" * 8) | st.just("invoke_agent") | st.just("retrieval"),
    max_size=4,
)  # fmt: skip
parts = st.fixed_dictionaries(
    {},
    optional={
        "config": st.dictionaries(
            st.sampled_from(["model", "provider", "hyperparameters", "type", "metadata", "k"]),
            values | st.just({"stream": True, "temperature": 1}),
            max_size=3,
        ),
        "metadata": metadata,
        "metrics": st.dictionaries(st.sampled_from(["time_to_first_chunk_ms", "k"]), values),
        "feedback": st.dictionaries(texts, values, max_size=1),
        "error": texts,
    },
)
CALL = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "1", "function": {"name": "look_up", "arguments": '{"q": "harbour"}'}}],
}
chats = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "tool"]), "content": texts})
    | st.just(CALL),
    max_size=2,
)
payloads = st.one_of(
    st.none(),
    st.sampled_from([{}, {"q": 1}, {"q": "why?"}, {"result": "x"}, CALL]),
    st.fixed_dictionaries({"messages": chats}, optional={"system": texts}),
    st.fixed_dictionaries({"role": st.just("assistant"), "content": texts}),
)
sessions = st.sampled_from(["own", "conversation", "with a user", "conversation with a user"])


def uuid(number: int) -> str:
    return f"019aa3c1-8a5e-7000-9d2c-{number:012x}"


def session_parts(kind: str, trace_id: str) -> Parts:
    """The parts of a session's start and end."""
    turn = {"session_id": "the chat of Ada", TRACE_ID: trace_id} if "conv" in kind else {}
    user = {"user_properties": {"user_id": "ada"}} if "user" in kind else {}
    return {"metadata": {"service": "shop", **turn}, **user}


def records_of(
    kind: str, event_type: str, shape: Parts, metadatas: list[Parts], contents: list[Any]
) -> list[Record]:
    """Three sessions with three steps each that differ in ids, times, metadata and payloads."""
    records = []
    for session in range(3):
        is_turn = "conv" in kind
        opened = uuid(1000 * session + 1)
        session_id = uuid(7) if is_turn else opened
        if kind == "conversation":
            session_id = session_uuid("the chat of Ada")
        beginning = {
            "event_id": opened,
            "session_id": session_id,
            "event_type": "session",
            "source": "tests",
            "start_time": T0 // 1_000_000 + session,
        }
        about = {"event_name": "a session", **session_parts(kind, opened.replace("-", ""))}
        records.append(Record(START, b"*", assemble({**beginning, **about}, b"{}", None)))
        children = []
        for number in range(3):
            event_id = uuid(1000 * session + 2 + number)
            children.append(event_id)
            own = dict(shape)
            if "metadata" in own:
                own["metadata"] = metadatas[(session + number) % len(metadatas)]
            inputs, outputs = (
                None if content is None else orjson.dumps(content)
                for content in (contents[number], contents[(number + session) % len(contents)])
            )
            at = T0 + 1_000_001 * number
            body = encode_event(
                event_id, session_id, opened, event_type, "tests", at, at + 12_345 * session,
                "a step", own, children[:-1] or None, inputs, outputs,
            )  # fmt: skip
            records.append(Record(EVENT, b"*", body))
        ended = {**beginning, "end_time": T0 // 1_000_000 + 9, "duration": 8.25, **about}
        ended["children_ids"] = children
        records.append(Record(END, b"*", assemble(ended, b"{}", None)))
    return records


@pytest.mark.parametrize("encoding", [PROTOBUF, JSON], ids=["protobuf", "json"])
@settings(max_examples=25, deadline=None)
@given(
    kind=sessions,
    event_type=st.sampled_from(["model", "tool", "chain"]),
    shape=parts,
    metadatas=st.lists(metadata, min_size=1, max_size=3),
    contents=st.lists(payloads, min_size=3, max_size=3),
)
@example("own", "chain", {}, [{}], [{}, {}, {}])
@example("own", "model", {"metadata": {}}, [{"k": 1}], [{"messages": [CALL, CALL]}, CALL, CALL])
@example("conversation with a user", "model", {"metadata": {}}, [{TRACE_ID: "ab" * 16}], [{}] * 3)
@example("own", "chain", {"config": {"metadata": {"k": 1}}, "metadata": {}}, [{"k": 1}], [{}] * 3)
def test_a_template_gives_the_same_bytes(
    encoding: SpanEncoding,
    kind: str,
    event_type: str,
    shape: Parts,
    metadatas: list[Parts],
    contents: list[Any],
) -> None:
    """Whatever a step is and holds, in sessions and conversations, with and without a user."""
    encoder = SpanEncoder(encoding, SessionCache(), DEFAULT_LIMITS)
    whole = SessionCache()
    for record in records_of(kind, event_type, shape, metadatas, contents):
        span = span_of(record, whole)
        assert encoder.encode(record) == (
            span and (span.origin, encoding.item(encoding.span(span)))
        )


@pytest.mark.parametrize("limits", [AttributeLimits(6), AttributeLimits(256, 3)])
def test_limits_hold_for_repeated_steps(limits: AttributeLimits) -> None:
    """A span that must be cut is cut at its tenth repetition as at its first."""
    contents = [{"q": "a long question"}] * 3
    records = records_of("own", "tool", {"metadata": {}}, [{"k": "long enough"}] * 3, contents)
    encoder = SpanEncoder(PROTOBUF, SessionCache(), limits)
    whole = SessionCache()
    for record in records:
        span = span_of(record, whole, limits)
        assert encoder.encode(record) == (
            span and (span.origin, PROTOBUF.item(PROTOBUF.span(span)))
        )
