"""What the program logs stands beside its steps, and its log lines name them."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from typing import Any

import pytest

import sessiontrace as st
from sessiontrace.capture.span_values import NOTES_MAX
from sessiontrace.runtime import log
from sessiontrace.testing import capture

LOGGER = logging.getLogger("tests.shop")


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """Lines of the logger, with both ids in front; notes go to the current step."""
    stream = io.StringIO()
    printed, noted = logging.StreamHandler(stream), st.logging.SpanHandler()
    printed.addFilter(st.logging.ContextFilter())
    printed.setFormatter(logging.Formatter("%(session_id)s|%(event_id)s|%(message)s"))
    LOGGER.setLevel(logging.DEBUG)
    LOGGER.propagate = False
    root = logging.getLogger()
    for handler in (printed, noted):
        LOGGER.addHandler(handler)
    root.addHandler(noted)
    yield stream
    root.removeHandler(noted)
    for handler in (printed, noted):
        LOGGER.removeHandler(handler)


def logs_of(event: dict[str, Any]) -> list[dict[str, Any]]:
    logs = event["metadata"]["logs"]
    assert isinstance(logs, list)
    return logs


def test_a_record_is_a_note_of_its_step_and_its_line_has_the_ids(lines: io.StringIO) -> None:
    """Step by step; outside any session the ids are empty and nothing is noted."""
    with capture() as recorded:
        LOGGER.info("before")
        with st.session("chat") as session:
            LOGGER.info("in the session")
            with st.span("look", type="tool") as span:
                LOGGER.debug("too low")
                LOGGER.warning("seat %s of %d", "7A", 40)
                try:
                    raise ValueError("no seat")
                except ValueError:
                    LOGGER.exception("no luck")
    assert lines.getvalue().splitlines()[:4] == [
        "||before",
        f"{session.session_id}|{session.event_id}|in the session",
        f"{session.session_id}|{span.event_id}|too low",
        f"{session.session_id}|{span.event_id}|seat 7A of 40",
    ]
    (event,) = recorded.events
    warning, failure = logs_of(event)
    assert warning.pop("time") > 1_700_000_000_000
    assert warning == {"level": "WARNING", "logger": "tests.shop", "message": "seat 7A of 40"}
    assert failure["error"] == "ValueError: no seat"
    end = next(record for kind, record in recorded.records if kind == "end")
    assert [note["message"] for note in logs_of(end)] == ["in the session"]


def test_notes_are_bounded_and_the_others_counted(lines: io.StringIO) -> None:
    """A loop that logs fills neither the record nor the memory."""
    with capture() as recorded, st.session("chat"), st.span("loop"):
        for number in range(NOTES_MAX + 3):
            LOGGER.info("%s %d", "x" * 100_000, number)
    (event,) = recorded.events
    assert len(logs_of(event)) == NOTES_MAX
    assert event["metadata"]["logs_omitted"] == 3
    assert max(len(str(note)) for note in logs_of(event)) < 5_000


def test_secrets_in_notes_are_masked(lines: io.StringIO) -> None:
    """As everywhere else in a record."""
    with capture() as recorded, st.session("chat"), st.span("call"):
        LOGGER.info("password=hunter2hunter2 for %s", "ada")
    assert "hunter2" not in str(recorded.records)


def test_logging_runs_no_code_of_an_argument_and_never_recurses(lines: io.StringIO) -> None:
    """An ORM's lazy object would ask its database; one that logs in its repr would never end."""
    ran = []

    class Lazy:
        def __str__(self) -> str:
            ran.append("str")
            LOGGER.info("from inside")
            return "lazy"

        __repr__ = __str__

    with capture() as recorded, st.session("chat"), st.span("call"):
        record = LOGGER.makeRecord("shop", logging.INFO, "f", 1, "%s %s", (Lazy(), 7), None)
        for handler in LOGGER.handlers:
            if isinstance(handler, st.logging.SpanHandler):
                handler.handle(record)
        assert ran == []
        log.reset()
        log.log_once("tests", "a line of our own")
    (event,) = recorded.events
    (note,) = logs_of(event)
    assert note["message"].endswith(" 7")
    assert "Lazy" in note["message"]


@pytest.mark.parametrize(
    ("message", "args"),
    [("%d", ("x",)), ("%s %s", (1,)), (None, ()), ({"odd": 1}, ()), ("%(a)s", ({"b": 1},))],
    ids=str,
)
def test_a_record_of_any_form_is_a_note(message: Any, args: Any) -> None:
    """What the standard library could not format is noted as far as it goes; nothing raises."""
    handler = st.logging.SpanHandler()
    with capture() as recorded, st.session("chat"), st.span("call"):
        handler.handle(logging.LogRecord("shop", logging.INFO, "f", 1, message, args, None))
    (event,) = recorded.events
    assert isinstance(logs_of(event)[0]["message"], str)


def test_a_value_of_the_programs_own_stays(lines: io.StringIO) -> None:
    """``metadata.logs`` may be something else there, also later."""
    with capture() as recorded, st.session("chat"):
        with st.span("before", metadata={"logs": "s3://bucket"}):
            LOGGER.info("noted nowhere")
        with st.span("after") as span:
            LOGGER.info("replaced")
            span.set(metadata={"logs": "s3://bucket"})
    assert [event["metadata"]["logs"] for event in recorded.events] == ["s3://bucket"] * 2


def test_nothing_is_noted_where_nothing_is_recorded(lines: io.StringIO) -> None:
    """Inside ``suppress``; what follows the end of a step belongs to the one around it."""
    with capture() as recorded, st.session("chat"), st.span("step") as span:
        with st.suppress():
            LOGGER.info("suppressed")
        span.end()
        LOGGER.info("after the end")
    (event,) = recorded.events
    assert "logs" not in event.get("metadata", {})
    end = next(record for kind, record in recorded.records if kind == "end")
    assert [note["message"] for note in logs_of(end)] == ["after the end"]
    assert "||suppressed" in lines.getvalue()


@pytest.mark.parametrize("make", [st.logging.structlog_processor, st.logging.loguru_patcher])
def test_an_unknown_level_is_an_error_that_says_what_to_do(make: Any) -> None:
    """At configuration, where the program can still see it; later nothing raises."""
    with pytest.raises(ValueError, match="one of trace, debug, info"):
        make("loud")
    assert make(None)
    assert make(7)
