"""The message of an exception is that of ``str``, where ``str`` can do no harm."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest

from sessiontrace.capture.encoding.exception_message import message_of


class Query:
    """A lazy query: its text and its items come from a database."""

    def __repr__(self) -> str:
        raise AssertionError("evaluated")

    __str__ = __iter__ = __repr__  # type: ignore[assignment]


class ReportError(Exception):
    def __init__(self, *args: Any, **values: Any) -> None:
        super().__init__(*args)
        self.__dict__.update(values)

    def __str__(self) -> str:
        return f"report of {self.args}, {self.__dict__}"


PLAIN = [
    ValueError(),
    ValueError("no"),
    ValueError("a", {"b": [1, None]}),
    KeyError("key"),
    OSError(2, "No such file", pathlib.Path("/x")),
    SyntaxError("bad", ("f.py", 1, 2, "text")),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"),
    ReportError("plain", number=1),
]


@pytest.mark.parametrize("error", PLAIN, ids=repr)
def test_a_plain_exception_has_the_message_of_str(error: Exception) -> None:
    """People search for the message that their traceback shows."""
    assert message_of(error, 8_000) == str(error)


@pytest.mark.parametrize(
    "error",
    [
        ValueError(Query()),
        ValueError("failed", [Query()]),
        KeyError(Query()),
        OSError(2, "failed", Query()),
        ReportError(Query()),
        ReportError("failed", query=Query()),
        ReportError("failed", queries={"a": [Query()]}),
        ValueError(ValueError(Query())),
    ],
    ids=range(8),
)
def test_an_argument_that_may_load_data_is_named(error: Exception) -> None:
    """The text of the argument would send a statement while an error is being handled."""
    message = message_of(error, 8_000)
    assert "Query object>" in message or "failed" in message


def test_D15_a_million_numbers_are_not_written() -> None:
    """The message keeps a few thousand characters; a text of all of it would take 40 ms."""
    numbers = list(range(1_000_000))
    for error in (ValueError(numbers), ValueError(*numbers), ReportError(n=numbers)):
        assert len(message_of(error, 8_000)) < 300
