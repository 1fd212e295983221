"""What is asked of HoneyHive for which records, and what its answers mean."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from support.lane_harness import SESSION, id_of

from sessiontrace.export.protocol import (
    Batch,
    Blocked,
    Delivered,
    Invalid,
    Outcome,
    Reply,
    Request,
    Retry,
    TooLarge,
)
from sessiontrace.model.record import END, EVENT, OPEN, START, UPDATE, Record, abandoned_end
from sessiontrace.vendors.honeyhive.exporter import HoneyHiveExporter

TURN = id_of(77)


def record(
    kind: bytes, event_id: str = SESSION, session_id: str = SESSION, **fields: Any
) -> Record:
    """A record as capture writes it: the two ids first."""
    body = {"event_id": event_id, "session_id": session_id, "event_type": "session", **fields}
    return Record(kind, b"*", orjson.dumps(body))


def start(event_id: str = SESSION, kind: bytes = START, **fields: Any) -> Record:
    return record(
        kind,
        event_id,
        **{
            "event_name": "chat",
            "source": "prod",
            "start_time": 1000,
            "inputs": {"question": "why?"},
            "metadata": {"service": "shop"},
            **fields,
        },
    )


def end(event_id: str = SESSION, **fields: Any) -> Record:
    whole = orjson.loads(start(event_id).body)
    whole |= {"end_time": 1500, "duration": 500.0, "outputs": {"result": 42}, **fields}
    return Record(END, b"*", orjson.dumps(whole))


def span(number: int, **fields: Any) -> Record:
    return record(EVENT, id_of(number), **{"event_type": "tool", "inputs": {}, **fields})


def update(event_id: str, **fields: Any) -> Record:
    body = {"event_id": event_id, "session_id": SESSION, **fields}
    return Record(UPDATE, b"*", orjson.dumps(body))


def encode(
    *records: Record, replay: bool = False, exporter: HoneyHiveExporter | None = None
) -> list[tuple[str, str, Any, tuple[int, ...]]]:
    """All requests in order, with decoded bodies."""
    stages = (exporter or HoneyHiveExporter()).encode(Batch(records, replay))
    return [
        (one.method, one.path, orjson.loads(one.body), one.records)
        for stage in stages
        for one in stage
    ]


def routes(*records: Record, **options: Any) -> list[str]:
    return [f"{method} {path}" for method, path, _, _ in encode(*records, **options)]


POST, BATCH, PUT = "POST /v1/sessions", "POST /v1/events/batch", f"PUT /v1/events/{SESSION}"


def test_a_short_session_is_posted_whole_and_before_its_events() -> None:
    """Start and end in one batch: one POST says everything, no PUT follows."""
    first, second = encode(start(), span(1), span(2), end())
    assert first == (
        "POST",
        "/v1/sessions",
        {
            "session_id": SESSION,
            "session_name": "chat",
            "event_name": "chat",
            "source": "prod",
            "start_time": 1000,
            "end_time": 1500,
            "duration": 500.0,
            "inputs": {"question": "why?"},
            "outputs": {"result": 42},
            "metadata": {"service": "shop"},
        },
        (0, 3),
    )
    assert second[0:2] == ("POST", "/v1/events/batch")
    assert second[3] == (1, 2)


def test_a_large_batch_goes_in_requests_of_a_thousand_events() -> None:
    """HoneyHive answers with the ids of all events, of which 64 KiB are read; and several requests
    are waited for together. Each event is in one of them, in order.
    """
    found = encode(start(), *(span(number) for number in range(2500)), end())
    batches = [one for one in found if one[1] == "/v1/events/batch"]
    assert [len(body["events"]) for _, _, body, _ in batches] == [1000, 1000, 500]
    assert [at for *_, carried in batches for at in carried] == list(range(1, 2501))


def test_events_go_as_the_very_bytes_that_were_spooled() -> None:
    """Nothing is decoded on the way: odd spacing inside a body survives."""
    body = b'{"event_id":"%b","session_id":"%b","event_type" : "tool","inputs":{ }}' % (
        id_of(1).encode(),
        SESSION.encode(),
    )
    stages = [
        list(stage) for stage in HoneyHiveExporter().encode(Batch([Record(EVENT, b"*", body)]))
    ]
    (request,) = [request for stage in stages for request in stage]
    assert request.body == b'{"events":[' + body + b"]}"


def test_metrics_and_feedback_of_a_session_need_a_put() -> None:
    """StartSessionRequest has no field for either."""
    requests = encode(start(), end(metrics={"score": 1}, feedback={"rating": 5}))
    assert [request[0] for request in requests] == ["POST", "PUT"]
    assert "metrics" not in requests[0][2]
    assert requests[1][1:] == (
        f"/v1/events/{SESSION}",
        {"metrics": {"score": 1}, "feedback": {"rating": 5}},
        (1,),
    )


@pytest.mark.parametrize("kind", [START, OPEN])
def test_a_session_still_open_is_posted_from_its_start(kind: bytes) -> None:
    """The page over there shows it while it runs."""
    ((method, path, body, carried),) = encode(start(kind=kind))
    assert (method, path, carried) == ("POST", "/v1/sessions", (0,))
    assert "end_time" not in body


def test_an_end_alone_completes_what_was_posted_before() -> None:
    """PUT knows neither start_time nor event_name nor inputs; the inputs are there already."""
    exporter = HoneyHiveExporter()
    encode(start(), exporter=exporter)
    ((method, path, body, carried),) = encode(end(metrics={"score": 1}), exporter=exporter)
    assert (method, path, carried) == ("PUT", f"/v1/events/{SESSION}", (0,))
    assert body == {
        "end_time": 1500,
        "duration": 500.0,
        "outputs": {"result": 42},
        "metadata": {"service": "shop"},
        "metrics": {"score": 1},
    }


def test_late_inputs_go_to_the_metadata() -> None:
    """Inputs that were set after the start was posted, or of which nobody knows any more whether
    they were, must not get lost."""
    exporter = HoneyHiveExporter()
    encode(start(), exporter=exporter)
    ((_, _, body, _),) = encode(end(inputs={"question": "why not?"}), exporter=exporter)
    assert body["metadata"] == {"inputs": {"question": "why not?"}, "service": "shop"}
    ((_, _, body, _),) = encode(end())
    assert body["metadata"]["inputs"] == {"question": "why?"}


def test_what_is_remembered_of_inputs_is_bounded() -> None:
    """Millions of sessions leave ten thousand checksums."""
    exporter = HoneyHiveExporter()
    for number in range(10_050):
        session_id = id_of(number)
        encode(record(START, session_id, session_id, inputs={}), exporter=exporter)
    assert len(exporter._inputs) == 10_000


def test_in_a_replay_a_session_is_posted_and_then_completed() -> None:
    """It may exist already, and then POST merges no more than metadata and user properties."""
    assert routes(start(), span(1), end(), replay=True) == [POST, BATCH, PUT]
    assert routes(start(kind=OPEN), end()) == [POST, PUT]
    requests = encode(start(), end(), replay=True)
    assert requests[0][2]["outputs"] == requests[1][2]["outputs"] == {"result": 42}
    assert requests[0][3] == (0, 1)
    assert requests[1][3] == (1,)


def test_a_session_whose_process_died_is_ended() -> None:
    """Its start is repeated at the head of a segment, its end was made up by the adopter."""
    opened = start(kind=OPEN)
    ended = Record(END, b"*", abandoned_end(opened.body, 1200))
    requests = encode(opened, span(1), ended, replay=True)
    assert [request[1] for request in requests][-1] == f"/v1/events/{SESSION}"
    assert requests[-1][2]["metadata"]["abandoned"] is True
    assert requests[-1][2]["end_time"] == 1200


def test_a_turn_of_a_conversation_is_an_event_under_its_session() -> None:
    """The session is posted without the turn's inputs and outputs, the turn becomes a chain event
    of its own, and the session is brought up to date without touching its outputs."""
    requests = encode(
        start(TURN, user_properties={"user_id": "u1"}),
        end(TURN, user_properties={"user_id": "u1"}, error="ValueError: no", metrics={"m": 1}),
    )
    (_, sessions, session, _), (_, batch, events, _), (_, put, change, _) = requests
    assert (sessions, batch, put) == ("/v1/sessions", "/v1/events/batch", f"/v1/events/{SESSION}")
    assert session == {
        "session_id": SESSION,
        "session_name": "chat",
        "event_name": "chat",
        "source": "prod",
        "start_time": 1000,
        "metadata": {"service": "shop"},
        "user_properties": {"user_id": "u1"},
    }
    assert events["events"] == [
        {
            "event_id": TURN,
            "session_id": SESSION,
            "parent_id": SESSION,
            "event_type": "chain",
            "event_name": "chat",
            "source": "prod",
            "start_time": 1000,
            "end_time": 1500,
            "duration": 500.0,
            "inputs": {"question": "why?"},
            "outputs": {"result": 42},
            "metadata": {"service": "shop"},
            "metrics": {"m": 1},
            "error": "ValueError: no",
        }
    ]
    assert change == {
        "end_time": 1500,
        "metadata": {"service": "shop"},
        "user_properties": {"user_id": "u1"},
    }


def test_many_turns_of_one_session_make_one_post_and_one_put() -> None:
    """A lively chat: later turns merge into the same two requests, later values win."""
    turns = [id_of(100 + n) for n in range(5)]
    records = []
    for n, turn in enumerate(turns):
        records += [
            start(turn, metadata={"service": "shop", f"turn{n}": n, "last": n}),
            end(turn, end_time=2000 + n, metadata={f"turn{n}": n, "last": n}),
        ]
    post, batch, put = encode(*records)
    assert post[3] == tuple(range(0, 10, 2))
    assert [event["event_id"] for event in batch[2]["events"]] == turns
    assert put[3] == tuple(range(1, 10, 2))
    assert put[2]["end_time"] == 2004
    assert put[2]["metadata"] == {**{f"turn{n}": n for n in range(5)}, "last": 4}
    assert post[2]["metadata"]["last"] == 4


def test_a_turn_inside_a_session_of_our_own_does_not_make_it_new() -> None:
    """The session's end comes in a batch with a turn's start, but without its own: it was posted
    before, so that its outputs must go by PUT."""
    requests = encode(start(TURN), end(TURN), end())
    assert requests[-1][2]["outputs"] == {"result": 42}
    assert requests[-1][3] == (1, 2)


def test_updates_merge_in_their_order() -> None:
    """Three scores for one event: one PUT, in which the last word wins."""
    first = update(id_of(1), feedback={"a": 1, "b": 1}, outputs={"result": 1})
    second = update(id_of(1), feedback={"b": 2}, metrics={"m": 1})
    third = update(id_of(2), inputs={"late": 1}, error="Boom: no", metadata={"k": 1})
    batch, put, other = encode(span(1), first, second, third)
    assert batch[1] == "/v1/events/batch"
    assert put[1:] == (
        f"/v1/events/{id_of(1)}",
        {"feedback": {"a": 1, "b": 2}, "outputs": {"result": 1}, "metrics": {"m": 1}},
        (1, 2),
    )
    assert other[2] == {
        "metadata": {"inputs": {"late": 1}, "error": {"message": "Boom: no"}, "k": 1}
    }


def test_an_update_that_says_nothing_asks_nothing() -> None:
    """No request carries it, so that it is settled as it is."""
    assert not encode(update(id_of(1)))


def test_requests_stay_below_five_megabytes() -> None:
    """Twelve events of 500 kB make several batches; a conversation whose metadata piles up makes
    several PUTs, one stage after the other."""
    big = "x" * 500_000
    requests = list(
        HoneyHiveExporter().encode(Batch([span(n, inputs={"t": big}) for n in range(12)]))
    )
    sizes = [len(request.body) for stage in requests for request in stage]
    assert len(sizes) == 2
    assert max(sizes) < 5_000_000
    updates = [update(SESSION, metadata={f"k{n}": big}) for n in range(12)]
    stages = [list(stage) for stage in HoneyHiveExporter().encode(Batch(updates))]
    assert [len(stage) for stage in stages] == [0, 0, 1, 1]
    assert max(len(request.body) for stage in stages for request in stage) < 5_000_000
    assert [one for stage in stages for request in stage for one in request.records] == [*range(12)]


def test_a_record_that_is_too_large_loses_its_largest_value() -> None:
    """And says how much that was."""
    exporter = HoneyHiveExporter()
    smaller = exporter.cut(span(1, inputs={"t": "x" * 9000}, outputs={"t": "short"}))
    assert smaller is not None
    body = orjson.loads(smaller.body)
    assert body["outputs"] == {"t": "short"}
    assert "9008 bytes" in body["inputs"]["cut"]
    assert smaller.body.startswith(b'{"event_id":"')


SESSIONS = Request("POST", "/v1/sessions", b"{}", (0,))
EVENTS = Request("POST", "/v1/events/batch", b"{}", (0, 1))
UPDATES = Request("PUT", f"/v1/events/{SESSION}", b"{}", (0,))
JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("request_", "reply", "verdict"),
    [
        (SESSIONS, Reply(200, JSON, b'{"session_id":"x"}'), Delivered()),
        (EVENTS, Reply(200, JSON, b'{"event_ids":[],"success":true}'), Delivered()),
        (EVENTS, Reply(200, JSON, b""), Delivered()),
        (
            EVENTS,
            Reply(200, JSON, b'{"event_ids":["' + b"x" * 65_521),
            Retry("HTTP 200 with an answer that breaks off"),
        ),
        (UPDATES, Reply(200), Delivered()),
        (UPDATES, Reply(200, {}, b"Updated"), Delivered()),
        (EVENTS, Reply(500, JSON, b'{"message":"partially created"}'), Retry("HTTP 500")),
        (EVENTS, Reply(413, JSON), TooLarge("HTTP 413")),
        (SESSIONS, Reply(404, JSON), Blocked("HTTP 404")),
        (UPDATES, Reply(404, JSON), Invalid("HTTP 404")),
        (
            EVENTS,
            Reply(400, JSON, b'{"message":"event_type\\u001b[31m is wrong","success":false}'),
            Invalid("HTTP 400: event_type [31m is wrong"),
        ),
        (EVENTS, Reply(400, JSON, b"[1]"), Invalid("HTTP 400")),
        (SESSIONS, Reply(401, JSON, b'{"message":"Invalid key hh_x"}'), Blocked("HTTP 401")),
    ],
)
def test_answers_and_their_verdicts(request_: Request, reply: Reply, verdict: Outcome) -> None:
    """Status first; what a refusal says about the content is quoted, safe to show."""
    assert HoneyHiveExporter().interpret(request_, reply) == verdict


def test_a_batch_without_success_is_tried_again() -> None:
    """Status 200 and `success: false`: the content is not at fault, so nothing may be given up."""
    verdict = HoneyHiveExporter().interpret(EVENTS, Reply(200, JSON, b'{"success":false}'))
    assert isinstance(verdict, Retry)


@pytest.mark.parametrize(
    ("request_", "reply"),
    [
        (SESSIONS, Reply(200, {"content-type": "text/html"}, b"<html>Log in to the wifi")),
        (UPDATES, Reply(200, {"content-type": "text/html; charset=utf-8"}, b"<html>")),
        (EVENTS, Reply(200, {"content-type": "text/plain"}, b"It works!")),
        (EVENTS, Reply(200, JSON, b'"ok"')),
    ],
)
def test_what_is_not_honeyhive_gets_no_data(request_: Request, reply: Reply) -> None:
    """A captive portal, or a wrong address that says 200 to everything: the data is kept."""
    assert isinstance(HoneyHiveExporter().interpret(request_, reply), Blocked)


@pytest.mark.parametrize("parent", [{"parent_id": SESSION}, {}], ids=["as captured", "odd"])
def test_a_step_of_another_type_is_the_nearest_of_honeyhives_three(parent: dict[str, str]) -> None:
    """Its own type goes along in the metadata; fields that the closed schema lacks do not."""

    def step(number: int, kind: str, **fields: Any) -> Record:
        ids = {"event_id": id_of(number), "session_id": SESSION, **parent}
        name = {"event_name": "step"}  # `start_nanos` is never the first field that is no id
        body = {**ids, "event_type": kind, "start_nanos": 7, **name, "inputs": {}, **fields}
        return Record(EVENT, b"*", orjson.dumps(body))

    records = step(1, "agent", metadata={"plan": "pro"}), step(2, "embedding"), step(3, "model")
    ((_, _, body, _),) = encode(*records)
    assert [(event["event_type"], event.get("metadata")) for event in body["events"]] == [
        ("chain", {"plan": "pro", "span_kind": "agent"}),
        ("model", {"span_kind": "embedding"}),
        ("model", None),
    ]
    assert all("start_nanos" not in event for event in body["events"])
