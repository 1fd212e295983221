"""inject and extract: W3C headers, ours and anybody's, whole and hostile."""

from __future__ import annotations

import uuid
from email.message import Message
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.recording_tracer import Captured

from sessiontrace.capture.context.w3c import extract, inject
from sessiontrace.capture.frame_headers import FrameHeaders
from sessiontrace.capture.non_recording import RemoteSpan
from sessiontrace.capture.session import Session
from sessiontrace.model.propagators import PROPAGATORS

FOREIGN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def captured() -> Captured:
    return Captured(trust="all")


def test_a_span_goes_over_the_wire_and_is_the_parent_there(captured: Captured) -> None:
    """Two processes, one session: the child's parent is the very span that called."""
    with captured.session(user="ann"), captured.span("call") as call:
        headers = inject(captured.current.get(), {"accept": "*/*"})
    there = Captured(trust="all")
    remote = extract(there.recorder, headers)
    assert remote is not None
    with remote, there.span("work"):
        pass
    event = there.event("work")
    assert event["parent_id"] == call.event_id
    assert event["session_id"] == call.session_id
    assert [kind for kind, _ in there.records] == ["event"]
    assert there.current.get() is None
    assert headers["traceparent"].startswith("00-" + call.session_id.replace("-", "") + "-")
    assert "user.id=ann" in headers["baggage"]
    assert headers["accept"] == "*/*"


def test_what_others_put_into_the_headers_is_kept(captured: Captured) -> None:
    """We are one of several tracers on the way."""
    headers = {"tracestate": "vendor=1,st=old", "baggage": "tenant=7;ttl=1,session.id=old"}
    with captured.session() as session:
        inject(session, headers)
    assert headers["tracestate"] == f"st={session.event_id},vendor=1"
    assert headers["baggage"] == f"tenant=7;ttl=1,session.id={session.session_id}"


def test_a_foreign_trace_becomes_a_turn_of_its_session(captured: Captured) -> None:
    """The caller is traced by something else: all our services agree on one session."""
    ids = set()
    for name in ("a", "b"):
        handle = extract(captured.recorder, {"Traceparent": FOREIGN}, name)
        assert handle is not None
        with handle, captured.span(f"in {name}"):
            pass
        ids.add(captured.event(f"in {name}")["session_id"])
        assert captured.parent_of(f"in {name}") == name
    assert len(ids) == 1
    assert uuid.UUID(ids.pop()).version == 4
    start = captured.of("start")[0]
    assert start["metadata"]["otel.trace_id"] == FOREIGN[3:35]
    assert captured.event("in a")["metadata"]["otel.trace_id"] == FOREIGN[3:35]


def test_a_foreign_trace_goes_out_as_it_came_in(captured: Captured) -> None:
    """The next service joins the trace of the first, whatever UUID our session made of its id."""
    handle = extract(captured.recorder, {"traceparent": FOREIGN})
    assert handle is not None
    with handle, captured.span() as span:
        headers = inject(span, {})
    assert headers["traceparent"].split("-")[1] == FOREIGN[3:35]
    there = Captured()
    remote = extract(there.recorder, headers)
    assert isinstance(remote, RemoteSpan)
    with remote, there.span("work"):
        onward = inject(there.current.get(), {})
    assert onward["traceparent"].split("-")[1] == FOREIGN[3:35]
    assert there.event("work")["session_id"] == handle.session_id
    assert there.event("work")["parent_id"] == span.event_id
    assert there.event("work")["metadata"]["otel.trace_id"] == FOREIGN[3:35]


def test_each_turn_of_a_conversation_is_a_trace_and_the_session_travels(captured: Captured) -> None:
    """Another service gets the trace of the turn, and still records into the conversation."""
    traces = []
    for _ in range(2):
        with captured.session(session_id="chat 7") as turn, captured.span("ask"):
            headers = inject(captured.current.get(), {})
        traces.append(headers["traceparent"].split("-")[1])
        assert traces[-1] == turn.event_id.replace("-", "")
        there = Captured()
        remote = extract(there.recorder, headers)
        assert remote is not None
        with remote, there.span("work"):
            pass
        assert there.event("work")["session_id"] == turn.session_id
        assert there.event("work")["metadata"]["otel.trace_id"] == traces[-1]
        assert captured.of("event")[-1]["metadata"]["otel.trace_id"] == traces[-1]
    assert traces[0] != traces[1]


def test_a_tracer_between_us_keeps_the_conversation(captured: Captured) -> None:
    """Its span is the parent; our tracestate still names the session."""
    with captured.session(session_id="chat 7") as turn:
        headers = inject(turn, {})
    headers["traceparent"] = headers["traceparent"][:36] + "00f067aa0ba902b7-01"
    handle = extract(captured.recorder, headers)
    assert handle is not None
    assert handle.session_id == turn.session_id


def test_baggage_names_the_session_and_the_user(captured: Captured) -> None:
    """The front end knows the chat's id; percent-encoded as the standard says."""
    headers = [
        (b"traceparent", FOREIGN.encode()),
        (b"baggage", b"session.id=chat%207 ; p=1, user.id=%C3%A4nn"),
    ]
    handle = extract(captured.recorder, headers)
    assert handle is not None
    with handle:
        pass
    (end,) = captured.of("end")
    assert end["metadata"]["session_id"] == "chat 7"
    assert end["user_properties"] == {"user_id": "änn"}


@pytest.mark.parametrize("form", ["message", "wsgi", "capitals", "pairs"])
def test_every_usual_form_of_headers_is_read(captured: Captured, form: str) -> None:
    """http.server's messages, WSGI environments, mappings in capitals, ASGI's pairs."""
    headers: Any = {
        "message": Message(),
        "wsgi": {"HTTP_TRACEPARENT": FOREIGN},
        "capitals": {"TRACEPARENT": FOREIGN},
        "pairs": [("host", "x"), ("traceparent", FOREIGN)],
    }[form]
    if form == "message":
        headers["Traceparent"] = FOREIGN
    assert extract(captured.recorder, headers) is not None


def test_the_sampling_decision_travels(captured: Captured) -> None:
    """A session not chosen there is not recorded here either."""
    with captured.session(sample=0.0), captured.span():
        headers = inject(captured.current.get(), {})
    assert headers["traceparent"].endswith("-00")
    there = Captured(trust="all")
    remote = extract(there.recorder, headers)
    assert remote is not None
    with remote, there.span():
        pass
    assert there.records == []
    assert there.drops == ["sampled"]


def test_a_trace_continued_by_somebody_between_us_is_theirs(captured: Captured) -> None:
    """A proxy made its own span and left our tracestate: its span is the parent, not ours."""
    with captured.session(), captured.span() as span:
        headers = inject(span, {})
    trace_id = headers["traceparent"][3:35]
    headers["traceparent"] = f"00-{trace_id}-00f067aa0ba902b7-01"
    assert not isinstance(extract(captured.recorder, headers), RemoteSpan)


def test_without_a_span_nothing_is_written(captured: Captured) -> None:
    """No span, no headers."""
    assert inject(None, {}) == {}
    assert inject(captured.span(), {}) == {}


class Refusing(dict[str, str]):
    def __setitem__(self, key: str, value: str) -> None:
        raise TypeError("read-only")


def test_headers_that_cannot_be_written_are_left_alone(captured: Captured) -> None:
    """Some frameworks hand out read-only headers."""
    with captured.session() as session:
        assert inject(session, Refusing()) == {}
        frozen: Any = MappingProxyType({"a": "b"})
        assert inject(session, frozen) is frozen


@pytest.mark.parametrize(
    "headers",
    [
        None,
        5,
        "traceparent",
        [],
        [1, 2],
        [("traceparent",)],
        {"traceparent": None},
        {"traceparent": 5},
        {"traceparent": FOREIGN[:-1]},
        {"traceparent": FOREIGN.upper()},
        {"traceparent": "ff" + FOREIGN[2:]},
        {"traceparent": FOREIGN + "-more"},
        {"traceparent": f"00-{'0' * 32}-00f067aa0ba902b7-01"},
        {"traceparent": f"00-4bf92f3577b34da6a3ce929d0e0e4736-{'0' * 16}-01"},
        {"traceparent": "x" * 10_000_000},
        {"traceparent": "\u0660\u0660-" + FOREIGN[3:]},
    ],
    ids=lambda value: str(value)[:40],
)
def test_headers_that_tell_nothing_give_nothing(captured: Captured, headers: object) -> None:
    """Clients send anything; none of it may fail a request."""
    assert extract(captured.recorder, headers) is None


@given(
    st.text(max_size=80) | st.binary(max_size=80),
    st.text(max_size=200) | st.binary(max_size=200),
)
def test_hostile_tracestate_and_baggage_do_no_harm(
    tracestate: str | bytes, baggage: str | bytes
) -> None:
    """The traceparent is good, the rest is noise: we go on with the good part."""
    captured = Captured()
    headers = {"traceparent": FOREIGN, "tracestate": tracestate, "baggage": baggage}
    handle = extract(captured.recorder, headers)
    assert handle is not None
    with handle, captured.span():
        inject(captured.current.get(), {**headers})  # type: ignore[arg-type]
    assert captured.drops == []


def test_a_later_version_of_the_standard_is_read(captured: Captured) -> None:
    """Version 01 may append fields; what we know of it stays where it is."""
    assert extract(captured.recorder, {"traceparent": "01" + FOREIGN[2:] + "-new"}) is not None


def test_the_destinations_of_a_session_travel_with_it(captured: Captured) -> None:
    """to="b" here: what the called process adds goes there too, and nowhere else."""
    captured.recorder.route = {("b",): captured.recorder.frame_headers}.get
    with captured.session(to="b"), captured.span("call"):
        headers = inject(captured.current.get(), {})
    assert "session.to=b" in headers["baggage"]
    there = Captured(trust="all")
    routed: list[tuple[str, ...]] = []

    def route(names: tuple[str, ...]) -> FrameHeaders:
        routed.append(names)
        return FrameHeaders(b" start b ", b" event b ", b" end b ")

    there.recorder.route = route
    remote = extract(there.recorder, headers)
    assert remote is not None
    with remote, there.span("work"):
        assert inject(there.current.get(), {})["baggage"] == headers["baggage"]
    assert routed == [("b",)]
    assert remote.frame_headers.event == b" event b "


def test_a_session_for_destinations_unknown_here_leaves_nothing_here(captured: Captured) -> None:
    """Better counted as unrouted than told to the wrong backend."""
    with captured.session(to=("b", "c")), captured.span("call"):
        headers = inject(captured.current.get(), {})
    there = Captured(trust="all")
    there.recorder.route = lambda names: None
    remote = extract(there.recorder, headers)
    assert remote is not None
    with remote, there.span("work"):
        pass
    assert there.records == []
    assert there.drops == ["unrouted"]


@pytest.mark.parametrize("way", ["default", "argument"])
def test_E14_a_stranger_names_a_trace_and_nothing_else(way: str) -> None:
    """The ids of trace and span count. Session, user, destinations and "not sampled" do not: else
    a request hides itself, or is written into another person's conversation.
    """
    tracer = Captured(route=lambda to: None, trust="trace" if way == "default" else "all")
    trust = None if way == "default" else "trace"
    baggage = "session.id=of-ada,user.id=ada,session.to=nowhere"
    headers = {"traceparent": FOREIGN[:-2] + "00", "baggage": baggage}
    turn = extract(tracer.recorder, headers, trust=trust)
    assert turn is not None
    with turn, tracer.span("recorded"):
        pass
    (end,) = tracer.of("end")
    assert "user_properties" not in end
    assert "session_id" not in end["metadata"]
    assert end["metadata"]["otel.trace_id"] == FOREIGN[3:35]
    assert tracer.event("recorded")["session_id"] == end["session_id"]
    assert tracer.drops == []


def test_E14_a_stranger_with_our_own_headers_cannot_hide_either(captured: Captured) -> None:
    """A span of ours by its ids, said to be unsampled and for no destination."""
    with captured.session(), captured.span("call") as call:
        headers = inject(captured.current.get(), {})
    headers["traceparent"] = headers["traceparent"][:-2] + "00"
    headers["baggage"] = "session.to=nowhere"
    there = Captured(route=lambda to: None)
    remote = extract(there.recorder, headers)
    assert remote is not None
    with remote, there.span("recorded"):
        pass
    assert there.event("recorded")["parent_id"] == call.event_id


def test_headers_that_are_not_trusted_name_nothing(captured: Captured) -> None:
    """trust="none", and a word that is not known, which must not open what was to be shut."""
    for trust in ("none", "nothing"):
        assert extract(captured.recorder, {"traceparent": FOREIGN}, trust=trust) is None


def test_without_trust_the_rate_here_decides_by_the_session(captured: Captured) -> None:
    """Two services with the same rate still agree on a session, without believing each other."""
    agreed = set()
    for _ in range(40):
        sender, receiver = Captured(sample=0.5), Captured(sample=0.5)
        with sender.session(), sender.span():
            headers = inject(sender.current.get(), {})
        remote = extract(receiver.recorder, headers)
        assert remote is not None
        with remote, receiver.span("there"):
            pass
        agreed.add((bool(sender.events), bool(receiver.events)))
    assert agreed == {(True, True), (False, False)}


@pytest.mark.parametrize(
    ("propagators", "written"),
    [
        ({"tracecontext", "baggage"}, {"traceparent", "tracestate", "baggage"}),
        ({"tracecontext"}, {"traceparent", "tracestate"}),
        ({"baggage"}, {"baggage"}),
        (set(), set()),
    ],
)
def test_only_the_headers_that_init_names_travel(propagators: set[str], written: set[str]) -> None:
    """Written and read; another process of the same program gets the span all the same."""
    captured = Captured(trust="all", propagators=frozenset(propagators))
    with captured.session(session_id="chat 7") as session:
        assert set(inject(session, {})) == written
        whole = inject(session, {}, PROPAGATORS)
    assert set(whole) == {"traceparent", "tracestate", "baggage"}
    remote = extract(captured.recorder, {"traceparent": FOREIGN, "baggage": "session.id=mine"})
    assert (remote is not None) is ("tracecontext" in propagators)
    if isinstance(remote, Session):
        assert remote.conversation_id == ("mine" if "baggage" in propagators else remote.session_id)
    within = extract(captured.recorder, whole, trust="all", propagators=PROPAGATORS)
    assert within is not None
    assert within.session_id == session.session_id
