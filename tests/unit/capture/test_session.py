"""Sessions: start before events, whole at the end, conversations, routes, sampling."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from support.recording_tracer import Captured

from sessiontrace.capture.frame_headers import FrameHeaders
from sessiontrace.model.sampling import is_sampled


@pytest.fixture
def captured() -> Captured:
    return Captured()


def test_a_session_starts_before_and_ends_after_its_events(captured: Captured) -> None:
    """The start record lets an adopter end the session of a killed process."""
    with captured.session("chat", inputs={"q": 1}, metadata={"a": 1}) as session:
        session.set(outputs="done")
        with captured.span("s"):
            pass
    assert [kind for kind, _ in captured.records] == ["start", "event", "end"]
    start, end = captured.of("start")[0], captured.of("end")[0]
    assert start["inputs"] == end["inputs"] == {"q": 1}
    assert end["outputs"] == {"result": "done"}
    assert end["metadata"] == {"a": 1, "service": "tests"}
    assert "end_time" not in start
    assert end["event_id"] == end["session_id"] == session.session_id == session.event_id
    assert uuid.UUID(session.session_id).version == 7


@pytest.mark.asyncio
async def test_async_with_is_the_same(captured: Captured) -> None:
    """`async with` awaits nothing, so it cannot be cancelled half-way."""
    async with captured.session("chat"), captured.span("s"):
        assert captured.current.get().name == "s"  # type: ignore[union-attr]
    assert [kind for kind, _ in captured.records] == ["start", "event", "end"]


def test_an_own_id_makes_a_conversation(captured: Captured) -> None:
    """Two requests of one chat are two turns of one session."""
    ids = set()
    for question in ("one", "two"):
        with captured.session("chat", session_id="chat-7", inputs=question) as session:
            with captured.span("s"):
                pass
            ids.add(session.event_id)
    assert len(ids) == 2
    assert len({body["session_id"] for _, body in captured.records}) == 1
    for event in captured.events:
        assert event["parent_id"] in ids
    assert captured.of("start")[0]["metadata"]["session_id"] == "chat-7"


def test_an_own_uuid_is_taken_as_it_is(captured: Captured) -> None:
    """A UUID in capitals is the same session as in small letters."""
    own_id = str(uuid.uuid4())
    with captured.session(session_id=own_id.upper()) as session:
        assert session.session_id == own_id
    assert "session_id" not in captured.of("start")[0]["metadata"]


@pytest.mark.parametrize(
    "arguments",
    [
        {"session_id": 5},
        {"session_id": "\ud83d"},
        {"session_id": ""},
        {"tags": 5},
        {"tags": "one"},
        {"tags": ["a", 2, None]},
        pytest.param({"tags": (tag for tag in "ab")}, id="tags of a generator"),
        pytest.param({"user": object()}, id="user of no known type"),
        {"source": b"x"},
        {"metadata": 5},
        {"user_properties": "x"},
        {"sample": "often"},
        {"sample": float("nan")},
        {"to": 7},
        {"name": 5},
    ],
    ids=str,
)
def test_wrong_arguments_give_a_session_all_the_same(
    captured: Captured, arguments: dict[str, Any]
) -> None:
    """A session opened with nonsense must neither raise nor be lost."""
    with captured.session(**arguments):
        pass
    (end,) = captured.of("end")
    assert isinstance(end["source"], str)
    assert isinstance(end["event_name"], str)
    assert isinstance(end["metadata"], dict)


def test_tags_and_user_have_their_places(captured: Captured) -> None:
    """tags go to metadata.tags, the user to user_properties.user_id."""
    with captured.session(user="ann", tags=["a", "b"], user_properties={"plan": "free"}):
        pass
    (end,) = captured.of("end")
    assert end["metadata"]["tags"] == ["a", "b"]
    assert end["user_properties"] == {"user_id": "ann", "plan": "free"}


def test_a_session_in_a_session_is_its_own(captured: Captured) -> None:
    """Events inside belong to the inner one; afterwards the outer one is current again."""
    with captured.session("outer") as outer:
        with captured.session("inner") as inner, captured.span("in"):
            pass
        with captured.span("out"):
            pass
    assert captured.event("in")["session_id"] == inner.session_id
    assert captured.event("out")["session_id"] == outer.session_id
    assert captured.current.get() is None


def test_a_session_as_decorator_opens_a_new_one_at_each_call(captured: Captured) -> None:
    """`@session("job")` on a sync function; each call is a session."""

    @captured.session("job", tags=["x"])
    def job(fail: bool) -> str:
        """Docs."""
        if fail:
            raise ValueError("bad")
        return "done"

    assert job(False) == "done"
    with pytest.raises(ValueError, match="bad"):
        job(True)
    first, second = captured.of("end")
    assert first["session_id"] != second["session_id"]
    assert first["metadata"]["tags"] == second["metadata"]["tags"] == ["x"]
    assert second["error"] == "ValueError: bad"
    assert job.__doc__ == "Docs."


@pytest.mark.asyncio
async def test_a_session_as_decorator_of_async_functions_and_generators(
    captured: Captured,
) -> None:
    """The session lasts as long as the body runs, not as long as the call that makes it."""

    @captured.session("job")
    async def job() -> str:
        with captured.span("in async"):
            return "done"

    @captured.session("numbers")
    def numbers() -> Any:
        with captured.span("in generator"):
            yield 1

    @captured.session("letters")
    async def letters() -> Any:
        with captured.span("in async generator"):
            yield "a"

    assert await job() == "done"
    assert list(numbers()) == [1]
    assert [letter async for letter in letters()] == ["a"]
    assert [captured.parent_of(f"in {name}") for name in ("async", "generator")] == [
        "job",
        "numbers",
    ]
    assert captured.parent_of("in async generator") == "letters"
    assert captured.current.get() is None


def test_switched_off_everything_inside_is_silent(captured: Captured) -> None:
    """enabled=False: the block works, decorated functions work, nothing is recorded."""
    captured.off = True

    @captured.session("job")
    def job() -> int:
        return 1

    with captured.session() as session:
        session.set(outputs=1)
        assert captured.current.get() is None
    assert job() == 1
    assert captured.records == []


def test_a_session_goes_where_it_is_sent() -> None:
    """to= puts the route into the frame heads of the start, the end and all events inside."""
    heads = FrameHeaders(b"start a", b"event a", b"end a")
    captured = Captured(route=lambda names: heads if "a" in names else None)
    with captured.session(to="a"), captured.span():
        pass
    assert [kind for kind, _ in captured.records] == ["start a", "event a", "end a"]


def test_a_session_for_an_unknown_destination_goes_nowhere_and_is_counted() -> None:
    """A tenant's data must not end up with all the others because of a typing error."""
    captured = Captured(route=lambda names: None)
    with captured.session(to="tenant-a"), captured.span():
        pass
    assert captured.records == []
    assert captured.drops == ["unrouted"] * 3


def test_a_session_not_chosen_by_the_rate_is_counted_whole() -> None:
    """Head sampling decides once, for the session and everything inside it."""
    captured = Captured(sample=0.0)
    with captured.session(), captured.span():
        pass
    with captured.session(sample=1.0), captured.span("kept"):
        pass
    assert captured.drops == ["sampled"] * 3
    assert [kind for kind, _ in captured.records] == ["start", "event", "end"]


class Counting(Exception):  # noqa: N818  a value whose text is the code of its class
    """A value that counts how often it is encoded."""

    def __init__(self) -> None:
        self.looks = 0

    def __str__(self) -> str:
        self.looks += 1
        return "counted"


def test_what_is_not_recorded_is_not_encoded_either() -> None:
    """Who records one session in a hundred pays for the others almost nothing."""
    captured, value = Captured(sample=0.0), Counting()
    with captured.session(), captured.span(inputs={"a": value}) as span:
        span.set(outputs=value, metadata={"b": value})
    assert value.looks == 0
    with captured.session(sample=1.0), captured.span(inputs={"a": value}):
        pass
    assert value.looks == 1


def test_a_session_inside_one_that_is_not_recorded_has_its_inputs() -> None:
    """It is chosen, or not, by its own id and rate."""
    captured = Captured(sample=0.0)
    with captured.session(), captured.session(sample=1.0, inputs={"a": 1}):
        pass
    assert [record["inputs"] for _, record in captured.records] == [{"a": 1}] * 2


def test_a_span_taken_out_of_such_a_session_says_that_its_inputs_are_gone() -> None:
    """Nobody encoded them when they were given; now they may be others."""
    captured = Captured(sample=0.0)
    with captured.session():
        span = captured.span(inputs={"a": 1}, metadata={"b": 2})
    with captured.session(sample=1.0), span:
        pass
    assert captured.events[0]["inputs"] == {}
    metadata = captured.events[0]["metadata"]
    assert metadata == {"b": 2, "inputs_left_out": "given in a session that is not recorded"}


def test_the_rate_is_kept_and_every_process_agrees() -> None:
    """A session's id alone decides, so that all processes of one session decide alike."""
    ids = [str(uuid.uuid4()) for _ in range(4_000)]
    sampled = [session_id for session_id in ids if is_sampled(session_id, 0.25)]
    assert 800 < len(sampled) < 1_200
    assert sampled == [session_id for session_id in ids if is_sampled(session_id, 0.25)]
    assert all(is_sampled(session_id, 0.5) for session_id in sampled)
    assert all(is_sampled(session_id, 1.0) for session_id in ids)
    assert not any(is_sampled(session_id, 0.0) for session_id in ids)
