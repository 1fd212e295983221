"""Tracebacks as OTel's exception events, for exceptions that Python really raised."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from support.recording_tracer import Captured

from sessiontrace.wire.span_exception import exception_of, stack_of

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup


def fail() -> None:
    raise KeyError("tea")


def from_a_cause() -> None:
    try:
        fail()
    except KeyError as error:
        raise ValueError("no order") from error


def while_handling() -> None:
    try:
        from_a_cause()
    except ValueError:
        int("x")


def with_the_context_left_out() -> None:
    try:
        fail()
    except KeyError:
        raise ValueError("alone") from None


def in_a_group() -> None:
    errors: list[Exception] = [OSError("never raised")]
    for call in (from_a_cause, fail):
        try:
            call()
        except Exception as error:
            errors.append(error)
    raise ExceptionGroup("three things", errors)


def from_a_group() -> None:
    try:
        in_a_group()
    except ExceptionGroup as error:
        raise RuntimeError("gave up") from error


CALLS = [fail, from_a_cause, while_handling, with_the_context_left_out, in_a_group, from_a_group]


def recorded(call: Callable[[], None]) -> tuple[dict[str, Any], BaseException]:
    captured = Captured()
    with pytest.raises(Exception) as caught:
        with captured.session(), captured.span("step"):
            call()
    return captured.event("step"), caught.value


def outline(printed: str) -> list[str]:
    """The lines of a traceback without source lines, and without frames of the test itself."""
    lines = printed.splitlines()
    marks = ("Traceback", "File ", "Error", "ExceptionGroup", "above exception", "+-")
    kept = [line for line in lines if any(mark in line for mark in marks)]
    return [line for line in kept if "in recorded" not in line and "raise " not in line]


@pytest.mark.parametrize("call", CALLS)
def test_what_is_sent_is_what_python_prints(call: Callable[[], None]) -> None:
    """Causes, contexts and groups, each with its frames, in Python's order and words."""
    event, error = recorded(call)
    exception = exception_of(event)
    assert exception is not None
    sent = str(exception["exception.stacktrace"])
    expected = "".join(traceback.format_exception(error))
    assert outline(sent) == outline(expected)
    assert stack_of(sent) == event["metadata"]["error"]["stack"]


def test_a_traceback_in_another_form_stays_as_it_is() -> None:
    """Another tracer's stack, without a file and line in each row."""
    error = {"type": "E", "message": "m", "stack": "somewhere", "causes": [{"type": "C"}]}
    exception = exception_of({"metadata": {"error": error}, "error": "E: m"})
    assert exception is not None
    assert exception["exception.stacktrace"] == "somewhere"
    assert stack_of("somewhere") == "somewhere"


def test_an_error_without_a_stack_has_its_causes() -> None:
    """A group or an exception that was never raised."""
    error = {"type": "E", "message": "m", "causes": [{"type": "C", "context": True}, "odd"]}
    exception = exception_of({"metadata": {"error": error}, "error": "E: m"})
    assert exception is not None
    sent = str(exception["exception.stacktrace"])
    assert sent.startswith("odd\n\nThe above exception was the direct cause")
    assert sent.endswith(
        "C\n\nDuring handling of the above exception, another exception occurred:\n\nE: m"
    )
