"""Spans of sessions that are not recorded: short, counted, and spans like others."""

from __future__ import annotations

import asyncio
import copy
import pickle
import uuid

import pytest
from support.recording_tracer import Captured

from sessiontrace.capture.api_methods import Tracing
from sessiontrace.capture.context.w3c import inject
from sessiontrace.capture.handle import ENDED, SUPPRESSED
from sessiontrace.capture.non_recording import SuppressedScope
from sessiontrace.capture.span import Span
from sessiontrace.capture.tracer_state import TracerState
from sessiontrace.capture.unrecorded_span import UnrecordedSpan
from sessiontrace.model import ids


class Program(Tracing):
    """The API's methods over what is captured."""

    off = False

    def __init__(self) -> None:
        self.captured = Captured(sample=0.0)
        self.state: TracerState = self.captured.recorder
        self.recorder = self.state
        self._current = self.captured.current

    def begin(self) -> TracerState:
        return self.state


@pytest.fixture
def program() -> Program:
    return Program()


def test_a_span_of_an_unrecorded_session_is_current_nests_and_is_counted(program: Program) -> None:
    """Code inside sees its own span, whatever becomes of the session."""
    with program.session(), program.span("outer", type="model", inputs={"a": 1}) as outer:
        assert isinstance(outer, UnrecordedSpan)
        assert program.current_span() is outer
        with program.span("inner") as inner:
            assert inner.parent is outer
            assert program.current_span() is inner
        assert program.current_span() is outer
        assert outer.set(outputs={"b": 2}, error="failed") is outer
    assert (outer.name, outer.type, outer.state) == ("outer", "model", ENDED)
    assert program.captured.current.get() is None
    assert program.captured.records == []
    assert program.captured.drops == ["sampled"] * 4


def test_its_id_is_made_when_something_asks_and_stays(program: Program) -> None:
    """Headers and the user's own logs may name the span; most never do."""
    with program.session() as session:
        span = program.span("step")
        assert span.event_id == ""
        with span:
            headers: dict[str, str] = {}
            assert inject(span, headers)["traceparent"].endswith("-00")
            event_id = span.event_id
            assert uuid.UUID(event_id).version == 7
        assert span.event_id == event_id
        assert span.session_id == session.session_id
        assert event_id in repr(span)


def test_it_asks_for_no_time(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock is read only for what a record says."""
    with program.session():
        with program.span("step"):
            pass

        def no_clock() -> int:
            raise AssertionError("the clock was read")

        monkeypatch.setattr(ids, "_monotonic_ns", no_clock)
        with program.span("step", inputs={"a": 1}) as span:
            span.set(outputs=1)
        monkeypatch.undo()
    assert program.captured.drops == ["sampled"] * 4


def test_entered_in_a_recorded_session_it_is_recorded(program: Program) -> None:
    """What was set before counts; the inputs were not encoded when they were given."""
    with program.session():
        span = program.span("step", inputs={"a": 1}, config={"b": 2})
        span.set(metadata={"c": 3})
    with program.session(sample=1.0), span:
        span.set(outputs={"d": 4})
    assert type(span) is Span
    (event,) = program.captured.events
    assert event["config"] == {"b": 2}
    assert event["outputs"] == {"d": 4}
    assert event["metadata"] == {
        "c": 3,
        "inputs_left_out": "given in a session that is not recorded",
    }


def test_started_below_an_unrecorded_session_and_ended_elsewhere(program: Program) -> None:
    """``start_span`` makes a span that was never current; any thread may end it."""
    with program.session() as session:
        span = program.start_span("later", parent=session, inputs={"a": 1})
    span.end(outputs=1)
    span.end()
    assert program.captured.drops == ["sampled"] * 3
    assert program.captured.records == []


def test_decorated_functions_record_and_encode_nothing(program: Program) -> None:
    """Both kinds of function return what they return, and raise what they raise."""

    def same(value: int) -> int:
        return value

    traced = program.trace(same)

    @program.trace
    async def later(value: object) -> object:
        if value is None:
            raise ValueError(value)
        return program.current_span()

    async def main() -> None:
        async with program.span("block"):
            assert isinstance(await later(1), UnrecordedSpan)
            with pytest.raises(ValueError, match="None"):
                await later(None)

    with program.session() as session:
        assert traced(5) == 5
        asyncio.run(main())
        assert program.current_span() is session
    assert program.captured.records == []
    assert program.captured.drops == ["sampled"] * 6


def test_inside_suppress_nothing_is_counted(program: Program) -> None:
    """What is suppressed does not count as lost."""
    with SuppressedScope(program.state), program.span("step") as span:
        assert span.session.skip_reason == SUPPRESSED
    assert program.captured.drops == []


def test_a_span_below_one_that_ended_moves_to_what_is_open(program: Program) -> None:
    """As a library reports it that ends the parent before its children."""
    with program.session(sample=1.0), program.session(sample=0.0) as closed:
        closed.end()
        program.captured.current.set(closed)
        with program.span("late"):
            pass
    assert program.captured.drops == ["sampled"] * 3


def test_it_is_copied_and_pickled_like_a_span(program: Program) -> None:
    """A copy is the handle itself; a pickle names the span for another process."""
    with program.session(), program.span("step") as span:
        assert copy.deepcopy(span) is span
        assert pickle.loads(pickle.dumps(span)) is not None


def test_a_name_of_another_type_is_recorded_as_text(program: Program) -> None:
    """Bad arguments are no errors here either."""
    with program.session(), program.span(7, type="odd") as span:  # type: ignore[arg-type]
        assert (span.name, span.type) == ("7", "chain")
