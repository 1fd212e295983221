"""Spans: what one step records, however it is used or misused."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from typing import Any

import orjson
import pytest
from support.recording_tracer import Captured

from sessiontrace.capture.encoding.record_body import EVENT_MAX
from sessiontrace.capture.redaction.redactor import Redactor
from sessiontrace.capture.span import Span
from sessiontrace.model.fields import EVENT_FIELDS
from sessiontrace.model.record import event_id_of, session_id_of
from sessiontrace.model.step_types import STEP_TYPES


@pytest.fixture
def captured() -> Captured:
    return Captured()


def test_a_span_records_what_it_was_given(captured: Captured) -> None:
    """The plain case: every bucket arrives, dicts merge, inputs and outputs replace."""
    with captured.session("chat") as session:
        with captured.span("look", "tool", inputs={"q": 1}, config={"k": 3}) as span:
            span.set(outputs=[1], metadata={"a": 1}, metrics={"m": 1.5})
            span.set(outputs={"answer": 2}, metadata={"b": {"deep": [1]}}, feedback={"ok": True})
            span.set(user_properties={"plan": "free"}, inputs="plain text")
    event = captured.event("look")
    assert event["event_type"] == "tool"
    assert event["session_id"] == event["parent_id"] == session.session_id
    assert event["inputs"] == {"input": "plain text"}
    assert event["outputs"] == {"answer": 2}
    assert event["metadata"] == {"a": 1, "b": {"deep": [1]}}
    assert event["metrics"] == {"m": 1.5}
    assert event["feedback"] == {"ok": True}
    assert event["config"] == {"k": 3}
    assert event["user_properties"] == {"plan": "free"}
    assert set(event) <= set(EVENT_FIELDS)
    assert "error" not in event


def test_the_body_opens_with_both_ids(captured: Captured) -> None:
    """Everything downstream cuts the ids out of the first bytes without decoding."""
    with captured.session() as session, captured.span() as span:
        pass
    for body in captured.bodies:
        assert session_id_of(body).decode() == session.session_id
        assert event_id_of(body).decode() in {session.event_id, span.event_id}


def test_times_and_duration_agree(captured: Captured) -> None:
    """|end - start - duration| stays under a millisecond, as the record promises."""
    with captured.session(), captured.span("s"):
        pass
    event = captured.event("s")
    assert isinstance(event["start_time"], int)
    assert isinstance(event["duration"], float)
    assert abs(event["end_time"] - event["start_time"] - event["duration"]) < 1.0


def test_later_changes_to_a_value_do_not_show(captured: Captured) -> None:
    """The function may reuse its list; the record is a snapshot."""
    value: dict[str, Any] = {"items": [1]}
    with captured.session(), captured.span("s", inputs=value) as span:
        span.set(metadata=value)
        value["items"].append(2)
    assert captured.event("s")["inputs"] == {"items": [1]}
    assert captured.event("s")["metadata"] == {"items": [1]}


def test_no_users_object_is_kept_alive(captured: Captured) -> None:
    """A trace must not be what keeps a model's tensors in memory."""

    class Heavy:
        pass

    heavy = Heavy()
    gone = weakref.ref(heavy)
    with captured.session(), captured.span("s", inputs={"heavy": heavy}) as span:
        span.set(outputs=heavy, metadata={"heavy": heavy})
        del heavy
        gc.collect()
        assert gone() is None


def test_E01_an_error_is_recorded_and_passes_through(captured: Captured) -> None:
    """Type, message and stack arrive; the very same exception leaves the block."""
    error = ValueError("no such thing")
    with pytest.raises(ValueError, match="no such thing") as caught:
        with captured.session(), captured.span("s"):
            raise error from KeyError("root")
    assert caught.value is error
    event = captured.event("s")
    assert event["error"] == "ValueError: no such thing"
    details = event["metadata"]["error"]
    assert details["type"] == "ValueError"
    assert "test_span.py" in details["stack"]
    assert "sessiontrace/capture" not in details["stack"]
    assert details["causes"] == [{"type": "KeyError", "message": "'root'"}]
    assert captured.of("end")[0]["error"] == "ValueError: no such thing"


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_E01_exits_of_the_program_are_recorded(
    captured: Captured, kind: type[BaseException]
) -> None:
    """Ctrl-C in the middle of a step: its event says so, and Ctrl-C goes on."""
    with pytest.raises(kind), captured.session(), captured.span("s"):
        raise kind
    assert captured.event("s")["error"] == kind.__name__


def test_an_exception_that_cannot_be_printed_is_still_named(captured: Captured) -> None:
    """User exceptions whose __str__ fails, or that hold a lone surrogate."""

    class BadError(Exception):
        exceptions = property(lambda self: 1 / 0)

        def __str__(self) -> str:
            raise RuntimeError

    for error in (BadError(), ValueError("\ud83d")):
        with pytest.raises(type(error)), captured.session(), captured.span("s"):
            raise error
    texts = [event["error"] for event in captured.events]
    assert texts[0].endswith("BadError: <unprintable BadError: RuntimeError>")
    assert texts[1] == "ValueError: \\ud83d"


@pytest.mark.parametrize(
    "arguments",
    [
        {"name": b"bytes"},
        {"name": None},
        {"name": "x" * 100_000},
        {"name": "\ud83d"},
        {"type": []},
        {"type": "agent"},
        {"config": 5},
        {"config": [("a", 1)]},
        {"metadata": {1: 2, None: 3}},
        {"metadata": {"n": 2**80, "f": float("nan")}},
        {"metadata": {str(n): n for n in range(5_000)}},
        {"metadata": {"\ud83d": "\ud83d"}},
    ],
    ids=str,
)
def test_wrong_arguments_give_an_event_all_the_same(
    captured: Captured, arguments: dict[str, Any]
) -> None:
    """Nothing that is handed to a span may raise, nor make a record no vendor takes."""
    with captured.session(), captured.span(**{"name": "s", **arguments}):
        pass
    (event,) = captured.events
    assert isinstance(event["event_name"], str)
    assert len(event["event_name"]) < 1_000
    assert event["event_type"] in STEP_TYPES
    for part in ("config", "metadata", "inputs"):
        assert isinstance(event.get(part, {}), dict)
    assert captured.drops == []


def test_a_mapping_without_end_ends(captured: Captured) -> None:
    """`set(metadata=...)` reads a bounded number of keys."""

    class Endless(dict[str, int]):
        def __len__(self) -> int:
            return 1 << 40

        def items(self) -> Any:
            number = 0
            while True:
                yield str(number), number
                number += 1

    with captured.session(), captured.span("s") as span:
        span.set(metadata=Endless())
    assert len(captured.event("s")["metadata"]) <= 1_001


def test_a_record_stays_under_its_cap_whatever_is_put_in(captured: Captured) -> None:
    """Many parts of a legal size each may still add up to too much."""
    big = "b " * 100_000
    with captured.session(), captured.span("s", inputs={"a": big}) as span:
        span.set(outputs=big, metadata={str(n): big for n in range(20)}, metrics={"small": 1})
    assert max(map(len, captured.bodies)) <= EVENT_MAX
    assert captured.event("s")["metrics"] == {"small": 1}


def test_children_are_listed_and_bounded(captured: Captured) -> None:
    """A session of a hundred thousand steps must not grow a list without end."""
    with captured.session() as session:
        for _ in range(10_005):
            with captured.span():
                pass
    (end,) = captured.of("end")
    assert len(end["children_ids"]) == 10_000
    assert end["children_ids"][0] == captured.events[0]["event_id"]
    assert end["metadata"]["children_truncated"] == 5
    assert session.session_id == end["event_id"]
    assert max(map(len, captured.bodies)) <= EVENT_MAX


def test_E03_ended_twice_or_left_after_end_it_gives_one_event(captured: Captured) -> None:
    """`end()` inside the block, then the block's own end; the first counts."""
    with captured.session():
        with captured.span("s") as span:
            span.end(outputs=1)
            span.end(outputs=2)
            span.set(outputs=3)
        span.end()
    assert captured.event("s")["outputs"] == {"result": 1}


def test_ended_by_many_threads_at_once_it_gives_one_event(captured: Captured) -> None:
    """A handle shared by threads ends once."""
    with captured.session():
        for _ in range(50):
            span = captured.span("s").__enter__()
            threads = [threading.Thread(target=span.end) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    assert len(captured.events) == 50


def test_entered_twice_the_first_entering_counts(captured: Captured) -> None:
    """The same handle in two `with` blocks: no second event, no broken context."""
    with captured.session() as session:
        span = captured.span("s")
        with span, span:
            pass
        assert captured.current.get() is session
    assert len(captured.events) == 1


def test_a_span_never_entered_records_nothing(captured: Captured) -> None:
    """Made but not used: no event, and ending it is harmless."""
    span = captured.span("s")
    span.set(outputs=1)
    span.end()
    assert span.session_id == ""
    assert span.event_id == ""
    assert captured.records == []


def test_E03_left_out_of_order_the_context_recovers(captured: Captured) -> None:
    """A enters, B enters, A leaves, B leaves: outside A its B is not current any more."""
    with captured.session() as session:
        first = captured.span("first").__enter__()
        second = captured.span("second").__enter__()
        first.__exit__(None, None, None)
        assert captured.current.get() is session
        second.__exit__(None, None, None)
        assert captured.current.get() is session
    assert captured.parent_of("second") == "first"
    assert captured.current.get() is None


def test_a_plain_generator_left_half_read_does_not_stay_current(captured: Captured) -> None:
    """A `with` across a yield, in a generator nobody decorated: the block around it recovers."""

    def numbers() -> Any:
        with captured.span("inside"):
            yield 1
            yield 2

    with captured.session() as session:
        running = numbers()
        with captured.span("reader"):
            next(running)
        assert captured.current.get() is session
        running.close()
        assert captured.current.get() is session
    assert captured.parent_of("inside") == "reader"


def test_a_span_alone_gets_a_session_of_its_name(captured: Captured) -> None:
    """No session is open: one opens around the span, with its inputs, outputs and error."""
    with pytest.raises(ValueError, match="bad"), captured.span("alone", inputs={"q": 1}) as span:
        span.set(outputs="half")
        raise ValueError("bad")
    assert [kind for kind, _ in captured.records] == ["start", "event", "end"]
    (end,) = captured.of("end")
    assert end["event_name"] == "alone"
    assert end["inputs"] == {"q": 1}
    assert end["outputs"] == {"result": "half"}
    assert end["error"] == "ValueError: bad"
    assert captured.current.get() is None


def test_a_chain_of_tasks_born_in_one_another_frees_its_past(captured: Captured) -> None:
    """Each step starts the next before it ends, for days: ended handles must not pile up."""
    with captured.session():
        ended = []
        span = captured.span().__enter__()
        for _ in range(20):
            following = Span(captured.recorder, "next")
            following.open(span)
            span.end()
            ended.append(weakref.ref(span))
            span = following
        span.end()
        del span, following
        gc.collect()
        assert sum(reference() is not None for reference in ended) <= 1


def test_a_child_of_an_ended_span_keeps_its_parent(captured: Captured) -> None:
    """A background task opens a step after its parent's event was written."""
    with captured.session():
        parent = captured.span("parent").__enter__()
        parent.end()
        late = Span(captured.recorder, "late")
        late.open(parent)
        late.end()
    assert captured.parent_of("late") == "parent"


def test_capture_off_records_neither_inputs_nor_outputs() -> None:
    """With capture=False only names and times leave the program, and what `set` adds by hand."""
    captured = Captured(capture=False)
    with captured.session(inputs={"q": 1}) as session:
        session.set(outputs=1)
        with captured.span("s", inputs={"q": 1}) as span:
            span.set(inputs=1, outputs=2, metadata={"kept": 1})
    for _, body in captured.records:
        assert body["inputs"] == {}
        assert "outputs" not in body
    assert captured.event("s")["metadata"] == {"kept": 1}


def test_a_handle_of_the_parent_is_inert_after_a_fork(captured: Captured) -> None:
    """What was open at the fork ends in the parent only."""
    with captured.session(), captured.span("s"):
        captured.recorder.inert = True
    assert [kind for kind, _ in captured.records] == ["start"]
    assert captured.drops == []


def test_an_interrupt_while_ending_leaves_the_context_whole(captured: Captured) -> None:
    """Ctrl-C arrives while the event is being written: it passes, and the span is not current."""

    def interrupted(head: bytes, body: bytes) -> bool:
        raise KeyboardInterrupt

    with captured.session() as session:
        span = captured.span("s").__enter__()
        offer, captured.recorder.offer = captured.recorder.offer, interrupted
        with pytest.raises(KeyboardInterrupt):
            span.end()
        captured.recorder.offer = offer
        assert captured.current.get() is session


def test_an_encoder_that_fails_is_counted_and_raises_nothing(captured: Captured) -> None:
    """Should composing a record fail after all, the loss is counted where it happens."""

    class Broken(Redactor):
        def __call__(self, parts: bytes) -> bytes:
            raise RuntimeError

    with captured.session():
        captured.recorder.redact = broken = Broken(functions=[lambda field, value: value])
        captured.recorder.clean_texts = broken.clean_texts
        with captured.span("s"):
            pass
        captured.recorder.redact = None
    assert captured.drops == ["encode_error"]


def test_recursion_to_the_limit_raises_the_users_own_error(captured: Captured) -> None:
    """Endless recursion through a span gives RecursionError, and nothing of ours replaces it."""

    def dive() -> None:
        with captured.span("dive"):
            dive()

    with pytest.raises(RecursionError), captured.session():
        dive()
    assert captured.current.get() is None
    assert len(captured.events) + len(captured.drops) > sys.getrecursionlimit() // 10


def test_repr_tells_what_and_how_far(captured: Captured) -> None:
    """A handle printed in a debugger says which it is, and shows no payload."""
    with captured.session("chat"), captured.span("look", inputs={"secret": "hunter2"}) as span:
        assert repr(span) == f"<sessiontrace Span 'look' {span.event_id} open>"


def test_bodies_are_what_orjson_would_write(captured: Captured) -> None:
    """No raw line break, no trailing bytes: a frame is a line."""
    with captured.session("a\nb"), captured.span("c\nd", inputs={"e": "f\ng"}):
        pass
    for body in captured.bodies:
        assert b"\n" not in body
        orjson.loads(body)


def test_an_error_that_was_handled_marks_the_step(captured: Captured) -> None:
    """The block ends without an exception; the record has the text, or all of the exception."""
    with captured.session("s") as session:
        with captured.span("a text") as span:
            span.set(error="no seat")
        with captured.span("an exception") as span:
            try:
                raise ValueError("no seat") from KeyError("seat")
            except ValueError as error:
                span.set(error=error)
        captured.span("at its end").__enter__().end(outputs=1, error=TimeoutError("5 s"))
        with captured.span("without") as span:
            span.set(error=None)
            span.set(error=False)
        session.set(error="half of it failed")
    events = {event["event_name"]: event for event in captured.events}
    assert events["a text"]["error"] == "no seat"
    assert events["an exception"]["error"] == "ValueError: no seat"
    assert events["an exception"]["metadata"]["error"]["causes"][0]["type"] == "KeyError"
    assert events["at its end"]["error"] == "TimeoutError: 5 s"
    assert events["at its end"]["outputs"] == {"result": 1}
    assert "error" not in events["without"]
    assert captured.records[-1][1]["error"] == "half of it failed"


@pytest.mark.parametrize("error", [["odd"], 7, b"bytes", object(), "", "x" * 100_000], ids=type)
def test_an_error_of_any_form_marks_the_step(captured: Captured, error: Any) -> None:
    """Nothing that is handed over as an error raises, or makes the step a success."""
    with captured.session(), captured.span("s") as span:
        span.set(error=error)
    (event,) = captured.events
    assert isinstance(event["error"], str)
    assert 0 < len(event["error"]) < 10_000
    assert captured.drops == []
