"""What the compiled form reads of a plain span is what the reader of all spans makes of it."""

from __future__ import annotations

import copy
import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sessiontrace.wire import span_reader
from sessiontrace.wire.decoded.name_plan import plan_of
from sessiontrace.wire.received_span import ReceivedSpan
from sessiontrace.wire.span_reader import SpanFields, read_span

_plain_span_c: Any = pytest.importorskip(
    "sessiontrace.wire.decoded._plain_span_c", reason="not compiled"
)

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}

MESSAGE = '{"role":"user","parts":[{"content":"hi","type":"text"}]}'

contents = st.one_of(st.text(max_size=4), st.none(), st.integers(0, 9), st.just([]))
plain_texts = st.one_of(
    st.text(max_size=4), st.sampled_from(['"', "\\", "a\n\t\x00", "Tools", "/é"])
)
object_texts = st.just("ToolUseBlock(id='c1', input={}, name='weather')")
parts = st.one_of(
    *[st.fixed_dictionaries({"type": st.just("text"), "content": plain_texts})] * 3,
    st.fixed_dictionaries({"type": st.just("text"), "content": object_texts}),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["text", "tool_call", "reasoning", "tool_call_response", 1])},
        optional={"content": contents, "id": st.text(max_size=2), "response": contents},
    ),
    contents,
)
messages = st.one_of(
    *[
        st.fixed_dictionaries(
            {"role": st.sampled_from(["user", "assistant", "system", "tool"]),
             "parts": st.lists(parts, min_size=1, max_size=1)},
            optional={"finish_reason": st.sampled_from(["stop", "length", None, ""]),
                      "name": st.one_of(st.text(max_size=2), st.none())},
        )
    ] * 4,
    st.fixed_dictionaries(
        {}, optional={"role": contents, "parts": st.lists(parts, max_size=2), "content": contents,
                      "finish_reason": contents},
    ),
    contents,
)  # fmt: skip
json_texts = st.sampled_from(
    [
        lambda chat: orjson.dumps(chat).decode(),
        lambda chat: orjson.dumps(chat, option=orjson.OPT_INDENT_2).decode(),
        json.dumps,
        lambda chat: json.dumps(chat, ensure_ascii=False),
        lambda chat: orjson.dumps(chat).decode()[:-1],
        lambda chat: orjson.dumps(chat).decode() + " ",
    ]
)
chats = st.one_of(
    st.builds(lambda chat, write: write(chat), st.lists(messages, max_size=3), json_texts),
    st.sampled_from(["", "[", "[]", "{}", " []", "text", "[" * 60 + "]" * 60]),
    st.sampled_from([f"[{MESSAGE}]{end}" for end in ("", "\n", ",", "]", " x")]),
    st.sampled_from([f"[{MESSAGE},{end}" for end in ("", "]", f"{MESSAGE}]", f"null,{MESSAGE}]")]),
    st.sampled_from(
        [
            "[" + MESSAGE.replace('"user"', other) + "]"
            for other in ("null", '""', '"us\\u0065r"', '"user","role":"tool"', "1", '"\t"')
        ]
    ),
    st.none(),
    st.lists(st.just({"role": "user", "content": "x"}), max_size=1),
)
values = st.one_of(st.text(max_size=3), st.integers(0, 9), st.none(), st.booleans(), st.floats())
texts, counts = st.text(max_size=3), st.integers(0, 9)
usual = st.fixed_dictionaries(
    {"gen_ai.operation.name": st.sampled_from(["chat", "chat", "chat", "invoke_agent", None])},
    optional={
        "gen_ai.input.messages": chats,
        "gen_ai.output.messages": chats,
        "session.id": texts,
        **dict.fromkeys(("gen_ai.request.model", "llm.model_name", "gen_ai.system"), texts),
        **dict.fromkeys(("gen_ai.agent.name", "gen_ai.provider.name", "user.id"), texts),
        "gen_ai.usage.input_tokens": counts,
        "gen_ai.usage.output_tokens": counts,
        "llm.token_count.total": counts,
    },
)
names = (
    "gen_ai.request.model",
    "gen_ai.usage.input_tokens",
    "user.id",
    "gen_ai.conversation.id",
    "gen_ai.request.temperature",
    "gen_ai.response.finish_reasons",
    "otel",
    "error.type",
)
unusual = st.fixed_dictionaries({}, optional=dict.fromkeys(names, values))
attributes = st.one_of(usual, usual, st.builds(lambda one, two: {**one, **two}, usual, unusual))


def by(form: Any, span: ReceivedSpan) -> SpanFields:
    """What is read of a span with this form of ``plain_chat``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(span_reader, "plain_chat", form)
        return read_span(copy.deepcopy(span))


def span(attributes: dict[str, Any], *, failed: bool = False) -> ReceivedSpan:
    ids = ("1" * 32, "2" * 16, None)
    links: list[dict[str, Any]] = [{"trace_id": "3" * 32, "span_id": "4" * 16}]
    times = (1, 2)
    return ReceivedSpan(*ids, "call", *times, attributes, {}, "scope", failed, "", [], links)


@given(attributes=attributes)
@settings(max_examples=300, deadline=None)
def test_messages_that_stay_encoded_are_those_that_are_decoded(attributes: dict[str, Any]) -> None:
    """Spaces between the tokens, escapes, keys in any order, and every other JSON text."""
    fields = plan_of(attributes).plain
    if fields is None:
        return
    results = [
        form(attributes, fields) for form in (_plain_span_c.encoded_chat, _plain_span_c.plain_chat)
    ]
    encoded, decoded = [None if read is None else orjson.dumps(read) for read in results]
    assert encoded == decoded


def left_to_the_reader(*_: Any) -> None:
    """The form in Python."""


@given(attributes=attributes, failed=st.booleans())
@settings(max_examples=300, deadline=None)
def test_a_span_is_read_alike_with_the_compiled_form(
    attributes: dict[str, Any], failed: bool
) -> None:
    """Messages of every shape, values of every type, and the order of all keys."""
    received = span(attributes, failed=failed)
    compiled, plain = by(_plain_span_c.plain_chat, received), by(left_to_the_reader, received)
    assert repr(compiled) == repr(plain)


def test_the_usual_span_of_a_chat_is_plain() -> None:
    """Else nothing would be gained: two messages, an answer with its reason, counts, a user."""
    chat = [
        {"role": role, "parts": [{"type": "text", "content": role}]} for role in ("system", "user")
    ]
    answer = {"role": "assistant", "parts": [{"type": "text", "content": "hi"}]}
    whole = CHAT | {
        "gen_ai.input.messages": orjson.dumps(chat).decode(),
        "gen_ai.output.messages": orjson.dumps([answer | {"finish_reason": "stop"}]).decode(),
        "gen_ai.usage.input_tokens": 3,
        "gen_ai.usage.output_tokens": 4,
        "session.id": "s",
        "user.id": "u",
    }
    plan = plan_of(whole)
    assert plan.plain is not None
    read = _plain_span_c.plain_chat(whole, plan.plain)
    assert read["outputs"] == {"role": "assistant", "content": "hi"}
    encoded = _plain_span_c.encoded_chat(whole, plan.plain)
    assert {type(encoded["inputs"]), type(encoded["outputs"])} == {orjson.Fragment}
    assert read["metadata"] == {
        "prompt_tokens": 3, "completion_tokens": 4, "finish_reason": "stop", "total_tokens": 7,
    }  # fmt: skip
