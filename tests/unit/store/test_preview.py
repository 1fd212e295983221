"""The list of sessions shows what each user asked first, from the beginning of a record's JSON."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from sessiontrace.store.preview import CHARACTERS, OPENING, preview_of

TEXT = {"type": "text", "text": "Hello?"}
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}


def opening(inputs: dict[str, Any]) -> str:
    return orjson.dumps({"event_id": "e", "inputs": inputs}).decode()[:OPENING]


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ({"chat_history": [{"role": "user", "content": "Hello?"}]}, "Hello?"),
        ({"chat_history": [{"role": "user", "content": [TEXT]}]}, "Hello?"),
        ({"chat_history": [{"content": "Hello?", "role": "user"}]}, "Hello?"),
        (
            {
                "chat_history": [
                    {"role": "system", "content": "Be brief."},
                    {"role": "user", "content": 'Say "hi"\nand  ✓'},
                    {"role": "user", "content": "Later."},
                ]
            },
            'Say "hi" and ✓',
        ),
        ({"chat_history": [{"role": "user", "name": "ada", "content": "Hello?"}]}, "Hello?"),
        ({"chat_history": [{"role": "user", "content": [PICTURE, TEXT]}]}, "Hello?"),
        ({"question": "Hello?"}, "Hello?"),
        ({"chat_history": [{"role": "user", "content": "a" * 40_000}]}, "a" * CHARACTERS),
        ({"city": 7}, None),
        ({"chat_history": [{"role": "user", "content": " "}]}, None),
        ({}, None),
    ],
)
def test_the_first_message_by_a_user_is_one_short_line(
    inputs: dict[str, Any], expected: str | None
) -> None:
    """Texts and parts, in either order of the keys; without a chat, a step's only input."""
    assert preview_of(opening(inputs)) == expected


def test_a_cut_escape_gives_no_preview_and_raises_nothing() -> None:
    """A record's beginning may end anywhere."""
    whole = orjson.dumps({"inputs": {"chat_history": [{"role": "user", "content": "\x07" * 9}]}})
    text = whole.decode()
    for end in range(len(text)):
        assert preview_of(text[:end]) is None or "\x07" in str(preview_of(text[:end]))


def test_a_tool_s_argument_is_not_what_the_user_asked() -> None:
    """A tool that starts in the same millisecond as its agent may come first."""
    record = {"event_id": "e", "event_type": "tool", "inputs": {"city": "Oslo"}}
    assert preview_of(orjson.dumps(record).decode()) is None


def test_an_id_is_no_question() -> None:
    """Of a step's inputs, ids and the method of a request say nothing of what was asked."""
    for name in ("user_id", "sessionId", "id", "method"):
        assert preview_of(f'{{"inputs":{{"{name}":"ada"}}}}') is None
    assert preview_of('{"inputs":{"idea":"A bakery"}}') == "A bakery"
