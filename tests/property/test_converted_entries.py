"""A chat of any form comes to the messages and changes that its decoded entries come to."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sessiontrace.wire import model_call
from sessiontrace.wire.encoded import _members_py
from sessiontrace.wire.roundtrip.changes import Changes, differences
from sessiontrace.wire.roundtrip.chat_entries import entry_of, message_of
from sessiontrace.wire.span_content import add_content

texts = st.text(max_size=6) | st.sampled_from(['"', "\\", "},{", '{"q": 1}', "]", '\\"}'])
calls = st.fixed_dictionaries(
    {
        "id": texts,
        "function": st.fixed_dictionaries({"name": texts, "arguments": texts | st.just({"q": 1})}),
    },
    optional={"type": st.just("function")},
)
parts = st.lists(
    st.fixed_dictionaries({"type": st.sampled_from(["text", "image_url", "thinking"])}) | texts
    | st.fixed_dictionaries({"type": st.just("text"), "text": texts}),
    max_size=2,
)  # fmt: skip
entries = st.one_of(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "tool"])},
        optional={
            "content": st.none() | texts | parts,
            "tool_calls": st.lists(calls, max_size=2),
            "tool_call_id": texts,
            "name": texts | st.none(),
            "reasoning": texts,
            "finish_reason": texts | st.none(),
            "parts": parts,
        },
    ),
    st.fixed_dictionaries({"type": st.just("function_call"), "call_id": texts, "arguments": texts}),
    st.none() | texts,
)
chats = st.lists(entries, max_size=4)
inputs = st.dictionaries(
    st.sampled_from(["chat_history", "messages", "system", 'a"b', "k"]),
    chats | texts | st.just({"messages": []}),
    max_size=3,
)


def messages_of(chat: dict[str, Any]) -> tuple[str, list[Any], Changes] | None:
    """The entry with the chat, its messages and the changes, each entry by itself."""
    name, messages = model_call.named_messages({"inputs": chat})
    if messages is None:
        return None
    changes: Changes = []
    wholes, read = [], []
    for entry, message in zip(chat[name], messages, strict=True):
        whole, layout = message_of(entry, message)
        wholes.append(whole)
        alone = {key: value for key, value in whole.items() if key != "finish_reason"}
        read.append(entry_of(alone, layout))
    differences(("inputs", name), read, chat[name], changes)
    return name, wholes, changes


@settings(max_examples=100)
@given(chat=inputs)
def test_messages_and_changes_are_those_of_the_decoded_chat(chat: dict[str, Any]) -> None:
    """Calls of tools, parts, items of the Responses API, what is not a chat, and odd keys.

    Each is converted twice: the second time its entries are remembered.
    """
    expected = messages_of(chat)
    for _ in range(2):
        attributes: dict[str, Any] = {}
        changes: Changes = []
        event = {"event_type": "model", "inputs": orjson.dumps(chat)}
        add_content(attributes, event, "chat", "chat", changes)
        messages = attributes.get("gen_ai.input.messages")
        if expected is None:
            assert messages is None
            continue
        name, wholes, all_changes = expected
        assert orjson.loads(messages) == wholes
        assert changes == all_changes
        others = {key: value for key, value in chat.items() if key != name}
        assert orjson.loads(attributes.get("input.value", b"{}")) == others


values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
)


@settings(max_examples=100)
@given(value=values)
def test_members_and_items_are_cut_alike_and_decode_to_the_whole(value: Any) -> None:
    """Nested objects, and texts with braces, quotes and backslashes."""
    encoded = orjson.dumps(value)
    members, items = _members_py.members_of(encoded), _members_py.items_of(encoded)
    assert (items is not None) == (type(value) is list)
    if members is not None:
        assert {key.decode(): orjson.loads(raw) for key, raw in members.items()} == value
    if items is not None:
        assert [orjson.loads(item) for item in items] == value
    compiled = pytest.importorskip("sessiontrace.wire.encoded._members_c", reason="not compiled")
    assert (compiled.members_of(encoded), compiled.items_of(encoded)) == (members, items)


def test_what_is_not_an_object_or_array_has_no_members() -> None:
    """Spaces that capture does not write, keys that come twice, and pieces."""
    compiled = pytest.importorskip("sessiontrace.wire.encoded._members_c", reason="not compiled")
    for text in (b"", b"{", b"[]", b'{"a":1,"a":2}', b'{"a\\n":1}', b'{ "a":1}', b"{}", b"[", b"1"):
        for form in (_members_py, compiled):
            assert form.members_of(text) == ({} if text == b"{}" else None)
            assert form.items_of(text) == ([] if text == b"[]" else None)
