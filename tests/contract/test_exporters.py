"""What every exporter must do: one suite, run over all vendors of the registry."""

from __future__ import annotations

import time
from collections import Counter

import orjson
import pytest
from support.exporters import (
    FLOWS,
    HONEYHIVE,
    HUMANLOOP,
    OTLP,
    POSTHOG,
    PROTOBUF,
    T0,
    VENDORS,
    Story,
    VendorCase,
    deliver,
    late,
    mentions,
    own_id,
    record,
)

from sessiontrace.export.protocol import Batch, Blocked, Reply, Request, Retry
from sessiontrace.model.record import END, EVENT, OPEN, START, Record, abandoned_end
from sessiontrace.vendors.shared.responses import NONE

pytestmark = [
    pytest.mark.contract,
    pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name),
]

MEBI = 1 << 20


@pytest.fixture(autouse=True)
def _needs_protobuf(vendor: VendorCase) -> None:
    if vendor is PROTOBUF:
        pytest.importorskip("opentelemetry.proto", reason="needs opentelemetry-proto")


def created(vendor: VendorCase, requests: list[Request]) -> Counter[str]:
    """How often each id was created."""
    return Counter(created_id for request in requests for created_id in ids(vendor, request))


def ids(vendor: VendorCase, request: Request) -> list[str]:
    return [] if request.method == NONE else vendor.ids(request)


def test_every_event_arrives_once_and_the_books_balance(vendor: VendorCase) -> None:
    """A session of one chain and three steps: five things at the vendor, six records settled."""
    records = Story().session(children=3)
    delivery = deliver(vendor, records)
    assert delivery.acked == len(records)
    assert not delivery.rejected
    events = [
        orjson.loads(record_.body)["event_id"] for record_ in records if record_.kind != START
    ]
    expected = {own_id(vendor, event) for event in events}
    assert created(vendor, delivery.requests) == Counter(expected)


def test_what_a_request_refers_to_was_there_before(vendor: VendorCase) -> None:
    """Depth four, children ended before their parents: whoever wants parents first gets them."""
    story = Story()
    start = story.start()
    outer = story.event(start, "chain")
    middle = story.event(outer, "chain")
    inner = story.event(middle, "chain")
    leaves = [story.model(inner), story.event(inner), story.event(outer)]
    ordered = [*leaves, inner, middle, outer]
    records = [
        record(START, start),
        *(record(EVENT, event) for event in ordered),
        record(END, story.end(start)),
    ]
    there: set[str] = set()
    for request in deliver(vendor, records).requests:
        assert there.issuperset(vendor.needs(request))
        there.update(vendor.ids(request))
    if vendor in (HUMANLOOP, FLOWS):
        references = sum(
            len(vendor.needs(request)) for request in deliver(vendor, records).requests
        )
        assert references >= len(ordered)


def test_a_replay_gives_the_same_ids_and_bytes(vendor: VendorCase) -> None:
    """Another process adopts the spool and sends it all again: not a byte differs."""
    records = Story().session(children=5)
    first = deliver(vendor, records)
    again = deliver(vendor, records)
    assert [(request.path, request.body) for request in again.requests] == [
        (request.path, request.body) for request in first.requests
    ]
    adopted = deliver(vendor, records, replay=True)
    before, after = created(vendor, first.requests), created(vendor, adopted.requests)
    assert after == before


def test_the_cut_of_a_batch_changes_no_id(vendor: VendorCase) -> None:
    """The same records in batches of two: the same things at the vendor."""
    records = Story().session(children=4)
    exporter = vendor.make()
    seen: Counter[str] = Counter()
    for at in range(0, len(records), 2):
        delivery = deliver(vendor, records[at : at + 2], exporter=exporter)
        assert not delivery.rejected
        assert delivery.setback is None
        seen |= created(vendor, delivery.requests)
    assert seen == created(vendor, deliver(vendor, records).requests)


def test_one_poisoned_event_is_found_and_the_rest_arrives(vendor: VendorCase) -> None:
    """The backend refuses whatever mentions the poison: one record is rejected, 39 go through."""
    records = Story().session(children=36)
    poison = records[7]
    body = {**orjson.loads(poison.body), "event_name": "poison-7"}
    records[7] = record(EVENT, body)

    def answer(request: Request) -> Reply | None:
        if mentions(request, "poison-7"):
            return Reply(vendor.refusal, body=b'{"detail": "no"}')
        return None

    delivery = deliver(vendor, records, answer=answer)
    assert [rejected_record for rejected_record, _ in delivery.rejected] == [records[7]]
    assert f"HTTP {vendor.refusal}" in delivery.rejected[0][1]
    missing = own_id(vendor, body["event_id"])
    everything = created(vendor, deliver(vendor, records).requests)
    assert set(everything) - set(created(vendor, delivery.taken)) == {missing}
    assert len(delivery.requests) < 60


def test_a_backend_that_takes_less_gets_smaller_requests(vendor: VendorCase) -> None:
    """413 over 40 kB: every event still arrives, in requests that fit."""
    story = Story()
    start = story.start()
    events = [story.event(start, inputs={"text": "x" * 9_000}) for _ in range(20)]
    records = [
        record(START, start),
        *(record(EVENT, event) for event in events),
        record(END, story.end(start)),
    ]

    def answer(request: Request) -> Reply | None:
        return Reply(413) if len(request.body) > 40_000 else None

    delivery = deliver(vendor, records, answer=answer)
    assert not delivery.rejected
    assert max(len(request.body) for request in delivery.taken) <= 40_000
    expected = {own_id(vendor, event["event_id"]) for event in events}
    assert expected <= set(created(vendor, delivery.taken))


def test_one_event_too_large_is_cut_with_a_mark(vendor: VendorCase) -> None:
    """413 for a single event of 300 kB: it arrives cut, and says so."""
    story = Story()
    start = story.start()
    event = story.event(start, inputs={"text": "x" * 300_000})
    records = [record(START, start), record(EVENT, event), record(END, story.end(start))]

    def answer(request: Request) -> Reply | None:
        return Reply(413) if len(request.body) > 120_000 else None

    delivery = deliver(vendor, records, answer=answer)
    assert not delivery.rejected
    assert own_id(vendor, event["event_id"]) in created(vendor, delivery.taken)
    cut = [
        request
        for request in delivery.taken
        if own_id(vendor, event["event_id"]) in ids(vendor, request)
    ]
    assert any(mentions(request, "cut") for request in cut)


def test_records_of_512_kib_make_requests_within_the_vendors_limit(vendor: VendorCase) -> None:
    """Twenty of the largest events that capture lets through: no request over 5 MiB."""
    story = Story()
    start = story.start()
    events = [story.event(start, inputs={"text": "x" * 500_000}) for _ in range(20)]
    records = [record(START, start), *(record(EVENT, event) for event in events)]
    delivery = deliver(vendor, records)
    assert not delivery.rejected
    assert max(len(request.body) for request in delivery.requests) < 5 * MEBI
    assert {own_id(vendor, event["event_id"]) for event in events} <= set(
        created(vendor, delivery.taken)
    )


def test_texts_of_any_script_arrive_as_they_are(vendor: VendorCase) -> None:
    """Right-to-left, combining, emoji, separators, controls: nothing is lost or changed."""
    words = 'שלום e\u0301 🧵 日本 \u2028 \x01 \\ " </script> \x7f'
    story = Story()
    start = story.start(event_name=f"chat {words}")
    event = story.model(
        start,
        event_name=f"call {words}",
        inputs={"chat_history": [{"role": "user", "content": words}]},
        outputs={"role": "assistant", "content": words},
        metadata={"kéy 🔑": words},
    )
    records = [record(START, start), record(EVENT, event), record(END, story.end(start))]
    delivery = deliver(vendor, records)
    assert not delivery.rejected
    if vendor is PROTOBUF:
        whole = "".join(request.body.decode(errors="replace") for request in delivery.requests)
    else:
        whole = "".join(_texts(body) for body in delivery.bodies)
    assert f"chat {words}" in whole
    assert f"call {words}" in whole
    assert "kéy 🔑" in whole


def _texts(value: object) -> str:
    """All texts in a JSON value, those within JSON texts too."""
    if isinstance(value, dict):
        return "".join(key + "\n" + _texts(item) for key, item in value.items())
    if isinstance(value, list):
        return "".join(map(_texts, value))
    return f"{value}\n"


def test_an_empty_session_is_a_session(vendor: VendorCase) -> None:
    """Nothing happened in it: it still shows at the vendor."""
    story = Story()
    start = story.start(inputs={}, metadata={}, user_properties={})
    records = [record(START, start), record(END, {**story.end(start), "outputs": {}})]
    delivery = deliver(vendor, records)
    assert delivery.acked == 2
    assert own_id(vendor, start["session_id"]) in created(vendor, delivery.requests)


def test_an_empty_batch_asks_nothing(vendor: VendorCase) -> None:
    """No records, no requests."""
    assert not [request for stage in vendor.make().encode(Batch([])) for request in stage]


def test_ten_thousand_children_arrive_in_requests_that_fit(vendor: VendorCase) -> None:
    """A session at the bound: every child once, no request over the limit, and soon done."""
    records = Story().session(children=9_997)
    assert len(records) == 10_000
    started = time.perf_counter()
    delivery = deliver(vendor, records)
    seconds = time.perf_counter() - started
    assert delivery.acked == len(records)
    counts = created(vendor, delivery.requests)
    assert set(counts.values()) == {1}
    assert len(counts) == 9_999
    assert max(len(request.body) for request in delivery.requests) < 5 * MEBI
    assert seconds < 20


def test_a_session_longer_than_a_day_is_one_session(vendor: VendorCase) -> None:
    """30 hours: its last event still belongs to it, and its times are told as they are."""
    story = Story()
    start = story.start()
    story.at = T0 + 29 * 3_600_000
    event = story.model(start)
    records = [
        record(START, start),
        record(EVENT, event),
        record(END, story.end(start, took=30 * 3_600_000)),
    ]
    delivery = deliver(vendor, records)
    assert not delivery.rejected
    whole = b"".join(request.body for request in delivery.requests)
    spoken = {
        HONEYHIVE: str(T0 + 29 * 3_600_000).encode(),
        POSTHOG: b"2026-09-22T19:",
        HUMANLOOP: b"2026-09-22T19:",
        FLOWS: b"2026-09-22T19:",
        OTLP: str((T0 + 29 * 3_600_000) * 1_000_000).encode(),
    }
    assert spoken.get(vendor, b"") in whole
    assert set(created(vendor, delivery.requests)) == {
        own_id(vendor, event_id) for event_id in (start["session_id"], event["event_id"])
    }


def test_the_turns_of_a_conversation_are_steps_of_one_session(vendor: VendorCase) -> None:
    """One chat, two requests: both turns arrive under their own ids, their events below them."""
    story = Story()
    session_id = story.id()
    turns = [{**story.start(session_id), "event_id": story.id()} for _ in range(2)]
    records = []
    expected = set()
    for turn in turns:
        event = story.model(turn)
        expected |= {turn["event_id"], event["event_id"]}
        records += [
            record(START, turn),
            record(EVENT, event),
            record(END, story.end(turn)),
        ]
    delivery = deliver(vendor, records)
    assert delivery.acked == len(records)
    counts = created(vendor, delivery.requests)
    assert {own_id(vendor, event_id) for event_id in expected} <= set(counts)
    there: set[str] = set()
    for request in delivery.requests:
        assert there.issuperset(vendor.needs(request))
        there.update(vendor.ids(request))


def test_a_session_whose_process_died_arrives_and_says_so(vendor: VendorCase) -> None:
    """The adopter finds the start repeated, an event, and writes the end: it is marked."""
    story = Story()
    start = story.start()
    event = story.event(start)
    records = [
        record(OPEN, start),
        record(EVENT, event),
        Record(END, b"*", abandoned_end(record(START, start).body, T0 + 500)),
    ]
    delivery = deliver(vendor, records, replay=True)
    assert delivery.acked + len(delivery.rejected) == 2  # a repeated start is in nobody's books
    assert not delivery.rejected
    assert any(mentions(request, "abandoned") for request in delivery.requests)
    counts = created(vendor, delivery.requests)
    assert own_id(vendor, start["session_id"]) in counts
    assert own_id(vendor, event["event_id"]) in counts


def test_an_error_is_told_with_type_and_message(vendor: VendorCase) -> None:
    """A tool that failed, in a session that failed with it."""
    story = Story()
    start = story.start()
    failed = {
        "error": "ValueError: no such order",
        "metadata": {"error": {"type": "ValueError", "message": "no such order", "stack": "f:1"}},
    }
    records = [
        record(START, start),
        record(EVENT, story.event(start, **failed)),
        record(END, story.end(start, **failed)),
    ]
    delivery = deliver(vendor, records)
    assert not delivery.rejected
    whole = b"".join(request.body for request in delivery.requests)
    assert whole.count(b"no such order") >= 2
    assert b"ValueError" in whole


def test_a_late_score_finds_its_event(vendor: VendorCase) -> None:
    """Feedback minutes after the session went out: it is sent, by each vendor's own way."""
    story = Story()
    start = story.start()
    event = story.model(start)
    exporter = vendor.make()
    records = [record(START, start), record(EVENT, event), record(END, story.end(start))]
    deliver(vendor, records, exporter=exporter)
    scores = [
        late(event, feedback={"helpful": True}, metrics={"score": 0.75}),
        late(start, feedback={"comment": "good"}),
    ]
    delivery = deliver(vendor, scores, exporter=exporter)
    assert delivery.acked == 2
    assert vendor is PROTOBUF or any(mentions(request, "0.75") for request in delivery.requests)
    assert mentions(delivery.requests[0], "score")
    assert any(mentions(request, "helpful") for request in delivery.requests)
    assert any(mentions(request, "comment") for request in delivery.requests)


def test_a_late_output_is_merged_or_told(vendor: VendorCase) -> None:
    """Outputs that came after the event had ended."""
    story = Story()
    start = story.start()
    event = story.model(start)
    exporter = vendor.make()
    records = [record(START, start), record(EVENT, event), record(END, story.end(start))]
    deliver(vendor, records, exporter=exporter)
    delivery = deliver(vendor, [late(event, outputs={"result": "at last"})], exporter=exporter)
    assert delivery.acked == 1
    assert mentions(delivery.requests[0], "at last")


def test_a_score_of_an_event_in_the_same_batch_arrives(vendor: VendorCase) -> None:
    """Scored at once: event and score travel together."""
    story = Story()
    start = story.start()
    event = story.event(start)
    records = [
        record(START, start),
        record(EVENT, event),
        late(event, outputs={"result": "revised"}),
        record(END, story.end(start)),
    ]
    delivery = deliver(vendor, records)
    assert delivery.acked == 4
    assert any(mentions(request, "revised") for request in delivery.requests)


@pytest.mark.parametrize(
    ("status", "kind"), [(401, Blocked), (403, Blocked), (302, Blocked), (429, Retry), (503, Retry)]
)
def test_what_is_no_fault_of_the_records_costs_none(
    vendor: VendorCase, status: int, kind: type
) -> None:
    """A wrong key, a redirect, a busy backend: the data waits."""
    delivery = deliver(vendor, Story().session(), answer=lambda request: Reply(status))
    assert isinstance(delivery.setback, kind)
    assert delivery.acked <= 1  # a start, of which nothing is to be sent
    assert not delivery.rejected


def test_a_wait_that_the_backend_asks_for_is_passed_on(vendor: VendorCase) -> None:
    """Retry-After: 7."""
    busy = Reply(429, {"retry-after": "7"})
    delivery = deliver(vendor, Story().session(), answer=lambda request: busy)
    assert delivery.setback == Retry("HTTP 429", 7.0)


def test_a_web_page_that_says_200_is_not_believed(vendor: VendorCase) -> None:
    """A captive portal answers everything: nothing counts as delivered."""
    page = Reply(200, {"content-type": "text/html; charset=utf-8"}, b"<html>Log in</html>")
    delivery = deliver(vendor, Story().session(), answer=lambda request: page)
    assert isinstance(delivery.setback, Blocked)
    assert delivery.acked <= 1


@pytest.mark.parametrize("body", [b'{"event_ids":["a', b'[{"id":"1"},', b'[{"id":"1"},' * 6000])
def test_C31_an_answer_that_breaks_off_is_not_believed(vendor: VendorCase, body: bytes) -> None:
    """200, and a proxy that cuts the JSON that names what was taken, or JSON without an end."""
    cut = Reply(200, {"content-type": "application/json"}, body)
    delivery = deliver(vendor, Story().session(), answer=lambda request: cut)
    assert isinstance(delivery.setback, Retry)
    assert not delivery.rejected


def test_a_backend_that_refuses_everything_keeps_everything_waiting(vendor: VendorCase) -> None:
    """400 to each and every request is a fault of the address or the account, not of the data."""
    refuse = Reply(vendor.refusal)
    delivery = deliver(vendor, Story().session(), answer=lambda request: refuse)
    assert isinstance(delivery.setback, Blocked)
    assert not delivery.rejected
