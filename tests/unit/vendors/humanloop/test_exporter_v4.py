"""Records as Humanloop logs: levels, references, late scores, and version 5's flows."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from support.exporters import FLOWS, HUMANLOOP, Story, deliver, late, record

from sessiontrace.export.protocol import Batch, Invalid, Reply, Request
from sessiontrace.model.record import END, EVENT, START, Record
from sessiontrace.runtime import throttle
from sessiontrace.vendors.humanloop.exporter_v4 import HumanloopExporter
from sessiontrace.vendors.humanloop.exporter_v5 import HumanloopFlowsExporter
from sessiontrace.vendors.humanloop.parent_order import Forest


def logs(*records: Record) -> list[dict[str, Any]]:
    delivery = deliver(HUMANLOOP, records)
    return [log for body in delivery.bodies if isinstance(body, list) for log in body]


def test_a_model_call_is_a_log_with_all_that_v4_knows() -> None:
    """Texts, seconds, tokens, config: each in Humanloop's own field and unit."""
    story = Story()
    start = story.start()
    call = story.model(start, feedback={"rating": "good"}, metrics={"score": 0.5})
    (log,) = [
        one
        for one in logs(record(START, start), record(EVENT, call))
        if one["reference_id"] == call["event_id"]
    ]
    assert log["session_reference_id"] == start["session_id"]
    assert log["parent_reference_id"] == start["session_id"]
    assert log["project"] == "sessiontrace"
    assert log["output"] == "because"
    assert log["output_message"] == {"role": "assistant", "content": "because"}
    assert log["messages"] == [{"role": "user", "content": "why?"}]
    assert log["duration"] == 0.1
    assert log["created_at"] == "2026-09-21T14:13:20.000Z"
    assert log["prompt_tokens"] == 11
    assert log["output_tokens"] == 5
    assert log["config"] == {
        "type": "model",
        "model": "gpt-9",
        "provider": "openai",
        "endpoint": "chat",
        "temperature": 0.5,
        "max_tokens": 64,
        "stop": ["\n"],
    }
    assert log["feedback"] == [{"type": "score", "value": 0.5}, {"type": "rating", "value": "good"}]


def test_what_is_no_model_is_logged_as_a_tool() -> None:
    """Late v4 takes only model and tool configs; the real type is kept in the metadata."""
    story = Story()
    start = story.start()
    found = logs(
        record(START, start),
        record(EVENT, story.event(start, "chain")),
        record(END, story.end(start)),
    )
    assert [one["config"] for one in found] == [
        {"type": "tool", "name": "support chat"},
        {"type": "tool", "name": "a chain"},
    ]
    assert [one["metadata"]["event_type"] for one in found] == ["session", "chain"]


def test_siblings_share_a_request_and_levels_do_not() -> None:
    """One request for each level of the tree, however many logs it has."""
    records = Story().session(children=50)
    delivery = deliver(HUMANLOOP, records)
    assert [len(body) for body in delivery.bodies] == [1, 1, 50]


def test_a_child_of_an_unknown_parent_says_so_in_its_metadata() -> None:
    """Its parent still runs: naming it would make Humanloop refuse the log."""
    story = Story()
    chain = story.event(story.start(), "chain")
    (log,) = logs(record(EVENT, story.event(chain)))
    assert "parent_reference_id" not in log
    assert log["metadata"]["parent_reference_id"] == chain["event_id"]


def test_a_parent_in_an_earlier_batch_is_known() -> None:
    """The session's start went out with a flush; its later children name it."""
    story = Story()
    start = story.start()
    exporter = HumanloopExporter()
    (started,) = deliver(HUMANLOOP, [record(START, start)], exporter=exporter).bodies
    assert "output" not in started[0]
    (body,) = deliver(HUMANLOOP, [record(EVENT, story.event(start))], exporter=exporter).bodies
    assert body[0]["parent_reference_id"] == start["session_id"]
    delivery = deliver(HUMANLOOP, [record(END, story.end(start))], exporter=exporter)
    (patch,) = delivery.requests
    assert (patch.method, patch.path) == ("PATCH", f"/logs?reference_id={start['session_id']}")
    assert orjson.loads(patch.body) == {"output": "because", "duration": 1.0}


def test_a_circle_of_parents_is_cut_somewhere() -> None:
    """Ids from elsewhere may say anything: all logs are sent, and no request waits for itself."""
    story = Story()
    start = story.start()
    one, other = story.event(start), story.event(start)
    one["parent_id"], other["parent_id"] = other["event_id"], one["event_id"]
    itself = story.event(start)
    itself["parent_id"] = itself["event_id"]
    records = [record(EVENT, event) for event in (one, other, itself)]
    there: set[str] = set()
    delivery = deliver(HUMANLOOP, records)
    for request in delivery.requests:
        assert there.issuperset(HUMANLOOP.needs(request))
        there.update(HUMANLOOP.ids(request))
    assert there == {event["event_id"] for event in (one, other, itself)}


def test_a_chain_of_five_thousand_is_no_matter_of_recursion() -> None:
    """Each log the parent of the next, children first."""
    story = Story()
    at = story.start()
    line = []
    for _ in range(5_000):
        at = story.event(at)
        line.append(record(EVENT, at))
    forest = Forest(line[::-1])
    assert [len(level) for level in forest.levels()] == [1] * 5_000


def test_a_score_of_a_log_nobody_knows_is_rejected_with_the_reason() -> None:
    """Feedback needs the data_id of a reply that another process got; the rest still goes."""
    story = Story()
    start = story.start()
    lost = late(start, feedback={"ok": True})
    event = record(EVENT, story.event(story.start()))
    delivery = deliver(HUMANLOOP, [lost, event])
    assert [one for one, _ in delivery.rejected] == [lost]
    assert "only of logs whose id this process saw" in delivery.rejected[0][1]
    assert delivery.acked == 1


def test_feedback_goes_by_the_id_that_the_reply_gave() -> None:
    """data_id, from the answer to POST /logs."""
    story = Story()
    event = story.event(story.start())
    exporter = HumanloopExporter()
    deliver(HUMANLOOP, [record(EVENT, event)], exporter=exporter)
    delivery = deliver(HUMANLOOP, [late(event, feedback={"rating": "good"})], exporter=exporter)
    assert delivery.requests[0].path == "/feedback"
    assert delivery.bodies == [
        [{"type": "rating", "value": "good", "data_id": f"data_{event['event_id']}"}]
    ]


@pytest.mark.parametrize("body", [b"", b"[]", b"nonsense", b"[{}]", b"7", b'[{"id": 7}]'])
def test_a_reply_without_ids_is_still_a_delivery(body: bytes) -> None:
    """Then late feedback has no way, but the log counts as known."""
    story = Story()
    event = story.event(story.start())
    exporter = HumanloopExporter()
    delivery = deliver(
        HUMANLOOP,
        [record(EVENT, event)],
        exporter=exporter,
        answer=lambda request: Reply(200, {}, body),
    )
    assert delivery.acked == 1
    delivery = deliver(HUMANLOOP, [record(EVENT, story.event(event))], exporter=exporter)
    assert delivery.bodies[0][0]["parent_reference_id"] == event["event_id"]


def test_a_patch_of_a_log_that_is_gone_rejects_that_record_only() -> None:
    """404 to a PATCH is about the log; 404 to a POST is about the address."""
    patch = Request("PATCH", "/logs?reference_id=x", b"{}", (0,))
    verdict = HumanloopExporter().interpret(patch, Reply(404))
    assert isinstance(verdict, Invalid)


def test_version_5_opens_a_flow_and_completes_it_after_its_children() -> None:
    """Incomplete flow, chain, prompt and tool below it; completion last."""
    story = Story()
    start = story.start()
    chain = story.event(start, "chain")
    call, tool = story.model(chain), story.event(chain)
    delivery = deliver(
        FLOWS,
        [
            record(START, start),
            record(EVENT, call),
            record(EVENT, tool),
            record(EVENT, chain),
            record(END, story.end(start)),
        ],
    )
    lines = [(one.method, one.path) for one in delivery.requests]
    assert lines == [
        ("POST", "/flows/log"),
        ("POST", "/flows/log"),
        ("POST", "/prompts/log"),
        ("POST", "/tools/log"),
        ("PATCH", f"/flows/logs/{chain['event_id']}"),
        ("PATCH", f"/flows/logs/{start['session_id']}"),
    ]
    session, nested, prompt, used, *ends = delivery.bodies
    assert session["path"] == "sessiontrace/support chat"
    assert session["log_id"] == start["session_id"]
    assert nested["trace_parent_id"] == start["session_id"]
    assert prompt["trace_parent_id"] == used["trace_parent_id"] == chain["event_id"]
    assert prompt["prompt"]["model"] == "gpt-9"
    assert prompt["provider_latency"] == 0.1
    assert used["tool"]["function"]["name"] == "a tool"
    assert [end["log_status"] for end in ends] == ["complete", "complete"]
    assert ends[1]["output"] == "because"


def test_version_5_hangs_a_child_of_an_unknown_parent_on_its_session() -> None:
    """A log outside every trace would be hard to find."""
    story = Story()
    start = story.start()
    chain = story.event(start, "chain")
    delivery = deliver(FLOWS, [record(START, start), record(EVENT, story.event(chain))])
    child = next(one for one in delivery.bodies if one["log_id"] != start["session_id"])
    assert child["metadata"]["parent_reference_id"] == chain["event_id"]
    assert child["trace_parent_id"] == start["session_id"]


def test_version_5_takes_late_scores_as_an_evaluators_judgments() -> None:
    """One request for each, below the log by the id we gave it, with an id of its own for good."""
    story = Story()
    call = story.model(story.start())
    score = late(call, feedback={"helpful": True, "tags": ["a"]}, metrics={"score": 0.5})
    delivery = deliver(FLOWS, [score])
    assert {(one.method, one.path) for one in delivery.requests} == {("POST", "/evaluators/log")}
    assert {one["parent_id"] for one in delivery.bodies} == {call["event_id"]}
    judged = {one["path"]: (one["judgment"], one["spec"]["return_type"]) for one in delivery.bodies}
    assert judged == {
        "sessiontrace/helpful": (True, "boolean"),
        "sessiontrace/tags": ('["a"]', "text"),
        "sessiontrace/score": (0.5, "number"),
    }
    assert len({one["log_id"] for one in delivery.bodies}) == 3
    assert deliver(FLOWS, [score]).bodies == delivery.bodies
    assert delivery.acked == 1


def test_version_5_refuses_one_score_of_an_unknown_log_and_goes_on() -> None:
    """404 is about that log, not about the address."""
    story = Story()
    scores = [late(story.event(story.start()), metrics={"n": n}) for n in range(2)]

    def answer(request: Request) -> Reply | None:
        return Reply(404) if b'"judgment":0' in request.body else None

    delivery = deliver(FLOWS, scores, answer=answer)
    assert [one for one, _ in delivery.rejected] == scores[:1]
    assert delivery.acked == 1


def test_version_5_keeps_the_metrics_an_event_ended_with() -> None:
    """They are part of the log, not judgments of it."""
    story = Story()
    call = story.model(story.start(), metrics={"chunks": 7}, feedback={"ok": False})
    (log,) = deliver(FLOWS, [record(EVENT, call)]).bodies
    assert log["metadata"]["metrics"] == {"chunks": 7}
    assert log["metadata"]["feedback"] == {"ok": False}


@pytest.mark.parametrize("make", [HumanloopExporter, HumanloopFlowsExporter], ids=["v4", "v5"])
def test_encoding_ten_thousand_logs_leaves_the_application_its_turns(
    monkeypatch: pytest.MonkeyPatch, make: type[HumanloopExporter | HumanloopFlowsExporter]
) -> None:
    """A whole session is one batch. Sorting it, encoding it and letting go of it each take long
    for many logs, so the exporter steps aside in all of them, not only while it reads the records.
    """
    pauses: list[float] = []
    monkeypatch.setattr(throttle, "_SLICE_S", 0.0)
    monkeypatch.setattr(throttle, "time", SimpleNamespace(sleep=pauses.append))
    story = Story()
    start = story.start()
    records = [record(START, start), *(record(EVENT, story.event(start)) for _ in range(50))]
    for stage in make().encode(Batch(records)):
        for _ in stage:
            pass
    assert len(pauses) > 3 * 50
