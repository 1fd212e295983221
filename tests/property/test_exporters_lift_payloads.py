"""Inputs and outputs go on in the bytes that capture encoded: the same meaning, nothing decoded."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.exporters import (
    FLOWS,
    HONEYHIVE,
    HUMANLOOP,
    OTLP,
    POSTHOG,
    PROTOBUF,
    Story,
    VendorCase,
    deliver,
)

from sessiontrace.export.protocol import Batch
from sessiontrace.model.record import END, EVENT, START, Record, decode_keeping_payloads
from sessiontrace.wire import chat_payload, model_call

_TEXTS = st.text(max_size=20) | st.sampled_from(
    [
        "",
        '"',
        "\\",
        '\\"',
        "},{",
        '","content":"',
        '"},{"role":"',
        '{"role":"user"}',
        "\t\n",
        "x\\" * 9,
    ]
)
_LEAVES = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | _TEXTS
_ROLES = st.sampled_from(["user", "assistant", "system", "tool", "developer", "robot"])
_PLAIN = st.fixed_dictionaries({"role": _ROLES, "content": _TEXTS})
_MESSAGES = _PLAIN | st.fixed_dictionaries(
    {"role": _ROLES},
    optional={"content": _LEAVES, "name": _TEXTS, "tool_calls": st.lists(_LEAVES, max_size=2)},
)
_NAMES = st.sampled_from(["chat_history", "messages", "input", "role", "content", "k"])
_VALUES = st.recursive(
    _LEAVES | st.lists(_PLAIN, min_size=1, max_size=4) | st.lists(_MESSAGES, max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=8,
)
_INPUTS = st.dictionaries(_NAMES, _VALUES, max_size=2)
_OUTPUTS = (
    _MESSAGES
    | st.fixed_dictionaries({"choices": st.lists(_MESSAGES, max_size=2)})
    | st.dictionaries(st.sampled_from(["result", "text", "content", "answer"]), _VALUES, max_size=2)
)


def marked(body: dict[str, Any]) -> bytes:
    """A body as capture may write it: its payloads between tabs."""
    parts = {
        name: orjson.Fragment(b"\t%b\t" % orjson.dumps(body[name]))
        for name in ("inputs", "outputs")
        if name in body
    }
    return orjson.dumps({**body, **parts})


@given(inputs=_INPUTS, outputs=_OUTPUTS)
def test_payloads_are_cut_out_as_they_were_encoded(
    inputs: dict[str, Any], outputs: dict[str, Any]
) -> None:
    """With and without marks, one payload or both, in any order, whatever lies within."""
    for payloads in ({"inputs": inputs}, {"inputs": inputs, "outputs": outputs},
                     {"outputs": outputs, "inputs": inputs}, {"outputs": outputs}, {}):  # fmt: skip
        body = {"event_id": "e", "session_id": "s", **payloads, "metadata": {"inputs": [1]}}
        found = decode_keeping_payloads(marked(body))
        assert found == decode_keeping_payloads(orjson.dumps(body))
        for name, value in payloads.items():
            assert found[name] == orjson.dumps(value)
        assert {name: found[name] for name in body if name not in payloads} == {
            name: body[name] for name in body if name not in payloads
        }


@given(inputs=_INPUTS)
def test_a_chat_is_found_in_encoded_inputs_where_it_is_in_decoded_ones(
    inputs: dict[str, Any],
) -> None:
    """The same messages, and all of the rest."""
    found = chat_payload.input_chat(orjson.dumps(inputs))
    expected = model_call.messages({"inputs": inputs})
    assert (found is None) == (expected is None)
    if found is not None:
        assert found.messages == orjson.loads(found.raw) == expected
        if found.plain is not None:
            assert [
                {"role": role.decode(), "content": orjson.loads(text)} for role, text in found.plain
            ] == expected
            assert set(inputs) <= {"messages", "chat_history"}
        else:
            shown = ("messages", "chat_history")
            assert found.other_inputs == {k: v for k, v in inputs.items() if k not in shown}
    assert orjson.loads(chat_payload.input_messages(orjson.dumps(inputs))) == (
        model_call.messages_of({"inputs": inputs or {"": 0}})
        if inputs
        else [{"role": "user", "content": "{}"}]
    )


@given(outputs=_OUTPUTS)
def test_an_answer_is_found_in_encoded_outputs_where_it_is_in_decoded_ones(
    outputs: dict[str, Any],
) -> None:
    """Messages, choices, a lone text, or the outputs as a text."""
    encoded = orjson.dumps(outputs)
    found, expected = chat_payload.output_chat(encoded), model_call.choices({"outputs": outputs})
    assert (None if found is None else found.messages) == expected
    if outputs:
        assert orjson.loads(chat_payload.output_messages(encoded)) == model_call.choices_of(
            {"outputs": outputs}
        )


@pytest.mark.parametrize(
    "vendor", [HONEYHIVE, HUMANLOOP, FLOWS, POSTHOG, OTLP, PROTOBUF], ids=lambda one: one.name
)
@settings(max_examples=30, deadline=None)
@given(kind=st.sampled_from(["model", "tool", "chain"]), inputs=_INPUTS, outputs=_OUTPUTS)
def test_marks_change_nothing_of_what_a_vendor_gets(
    vendor: VendorCase, kind: str, inputs: dict[str, Any], outputs: dict[str, Any]
) -> None:
    """A record of today and the same from an earlier version's spool."""
    story = Story()
    start = story.start(inputs=inputs)
    event = story.event(start, kind, inputs=inputs, outputs=outputs)
    ended = {**story.end(start), "outputs": outputs}
    delivery = [
        deliver(
            vendor,
            [
                Record(START, b"*", form(start)),
                Record(EVENT, b"*", form(event)),
                Record(END, b"*", form(ended)),
            ],
        )
        for form in (marked, orjson.dumps)
    ]
    if vendor is PROTOBUF:
        assert [one.body for one in delivery[0].requests] == [
            one.body for one in delivery[1].requests
        ]
    else:
        assert delivery[0].bodies == delivery[1].bodies


@pytest.mark.parametrize(
    "vendor", [HONEYHIVE, HUMANLOOP, FLOWS, POSTHOG, OTLP, PROTOBUF], ids=lambda one: one.name
)
@pytest.mark.parametrize("kind", ["model", "tool", "chain"])
def test_no_payload_is_decoded_on_its_way(
    vendor: VendorCase, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plain chat and its answer: what orjson decodes is the envelope, at every vendor."""
    story = Story()
    start = story.start(inputs={"question": "q-payload"})
    chat = [{"role": "user", "content": 'say "in-payload"'}, {"role": "tool", "content": "é\n"}]
    answer = {"role": "assistant", "content": "out-payload"}
    calls = [
        story.event(start, kind, inputs={"messages": chat}, outputs=answer),
        story.event(start, kind, inputs={"a": "in-payload"}, outputs={"result": "out-payload"}),
    ]
    records = [Record(EVENT, b"*", marked(call)) for call in calls]
    decoded: list[bytes] = []
    loads = orjson.loads

    def spy(text: bytes) -> Any:
        decoded.append(bytes(text))
        return loads(text)

    exporter = vendor.make()
    monkeypatch.setattr(orjson, "loads", spy)
    bodies = [request.body for stage in exporter.encode(Batch(records)) for request in stage]
    monkeypatch.undo()
    sent = b"".join(bodies)
    assert sent.count(b"in-payload") >= 2
    assert sent.count(b"out-payload") >= 2
    assert not [one for one in decoded if b"payload" in one]
    assert vendor is HONEYHIVE or decoded
