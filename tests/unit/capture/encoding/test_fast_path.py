"""What a plain value is, in one table that holds for the Python form and the compiled form."""

from __future__ import annotations

import datetime
import enum
import uuid
from collections import OrderedDict
from typing import Any

import pytest
from support.forms import FORMS, form_of

from sessiontrace.capture.encoding.fast_path import CAP, DEPTH, ROOM
from sessiontrace.capture.redaction.clean_text_cache import CLEAN_KEYS
from sessiontrace.capture.redaction.redactor import Redactor

PLAIN, NEEDS_REDACTION, NOT_PLAIN = 0, 1, -1
MOMENT = datetime.datetime(2026, 1, 1)
MEDIUM = "data:image/png;base64," + "iVBORw0KGgo" * 200


class OwnText(str):
    __slots__ = ()


class OwnZone(datetime.tzinfo):
    pass


class Color(enum.Enum):
    RED = "red"


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


TABLE = [
    ("text", "where is the harbour?", PLAIN),
    ("numbers", [1, -1.5, True, None, 1 << 70], PLAIN),  # the last one orjson refuses later
    ("not finite", [float("nan"), float("inf")], PLAIN),
    ("date and id", (MOMENT.date(), uuid.UUID(int=1)), PLAIN),
    ("naive time", MOMENT, PLAIN),
    ("time in a fixed zone", MOMENT.replace(tzinfo=datetime.timezone.utc), PLAIN),
    ("nothing in it", {"a": {}, "b": [], "c": ()}, PLAIN),
    ("chat", {"messages": [{"role": "user", "content": "hi"}]}, PLAIN),
    ("as deep as allowed", nested(DEPTH), PLAIN),
    ("as long as allowed", "x" * ROOM, PLAIN),
    ("as wide as allowed", [0] * (ROOM // 8), PLAIN),
    ("key of 64 characters", {"k" * 64: 1}, PLAIN),
    ("lone surrogate", {"a": "\ud800"}, PLAIN),  # orjson refuses it later
    ("secret in a text", {"a": ["my key: sk-" + "a1" * 10]}, NEEDS_REDACTION),
    ("secret in a message", [{"role": "user", "content": "password=hunter2"}], NEEDS_REDACTION),
    ("key that names a secret", {"a": {"password": 1}}, NEEDS_REDACTION),
    ("key that is a secret", {"sk-" + "a1" * 10: 1}, NEEDS_REDACTION),
    ("too deep", nested(DEPTH + 1), NOT_PLAIN),
    ("too long", "x" * (ROOM + 1), NOT_PLAIN),
    ("too long together", ["x" * (ROOM // 2)] * 2, NOT_PLAIN),
    ("too wide", [0] * (ROOM // 8 + 1), NOT_PLAIN),
    ("key of 65 characters", {"k" * 65: 1}, NOT_PLAIN),
    ("key that is not a text", {1: 1}, NOT_PLAIN),
    ("key of a subclass", {OwnText("a"): 1}, NOT_PLAIN),
    ("secret beside a value that is not plain", {"password": {1}}, NOT_PLAIN),
    ("text of a subclass", OwnText("a"), NOT_PLAIN),
    ("dict of a subclass", OrderedDict(a=1), NOT_PLAIN),
    ("time in a zone of the user's", MOMENT.replace(tzinfo=OwnZone()), NOT_PLAIN),
    ("time of day", MOMENT.time(), NOT_PLAIN),
    ("enum", Color.RED, NOT_PLAIN),
    ("bytes", b"a", NOT_PLAIN),
    ("set", {1}, NOT_PLAIN),
    ("object", object(), NOT_PLAIN),
    ("medium", MEDIUM, NOT_PLAIN),
    ("medium in a message", {"role": "user", "content": MEDIUM}, NOT_PLAIN),
]


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> Any:
    return form_of("capture.encoding.fast_path", request.param)


@pytest.mark.parametrize(("value", "answer"), [row[1:] for row in TABLE], ids=[r[0] for r in TABLE])
def test_a_value_is_plain_by_the_rule(form: Any, value: Any, answer: int) -> None:
    """The rule is the docstring of ``fast_path``. Asking again gives the same answer."""
    clean_texts = Redactor().clean_texts
    for _ in range(2):
        assert form.classify(value, ROOM, DEPTH, clean_texts) == answer


@pytest.mark.parametrize("answer", [PLAIN, NEEDS_REDACTION, NOT_PLAIN])
def test_only_a_plain_dict_without_secrets_is_encoded_fast(form: Any, answer: int) -> None:
    """Everything else is left to the encoder, which marks what needs redaction."""
    value = {"q": {PLAIN: "hi", NEEDS_REDACTION: "password=hunter2", NOT_PLAIN: {1}}[answer]}
    encoded = form.encode_fast(value, Redactor().clean_texts)
    assert encoded == (b'{"q":"hi"}' if answer == PLAIN else None)


@pytest.mark.parametrize(
    "value",
    ["hi", ["hi"], {"a": "\ud800"}, {"a": 1 << 70}, {"a": "\x01" * (CAP // 6 + 1)}],
    ids=["text", "list", "lone surrogate", "huge number", "over the cap once escaped"],
)
def test_a_value_that_orjson_refuses_is_not_encoded_fast(form: Any, value: Any) -> None:
    """Nor one that is not an object, nor one whose JSON is too large."""
    assert form.encode_fast(value, Redactor().clean_texts) is None


def test_the_keys_of_a_dict_that_is_too_wide_are_not_looked_at(form: Any) -> None:
    """A table of a million users by name, for one call, would take seconds, and push out the keys
    that every call has.
    """
    table = {f"user of a wide table {number}": number for number in range(ROOM // 8 + 1)}
    assert form.classify(table, ROOM, DEPTH, Redactor().clean_texts) == NOT_PLAIN
    assert CLEAN_KEYS.isdisjoint(table)
