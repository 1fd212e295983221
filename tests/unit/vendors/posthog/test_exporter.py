"""Records as PostHog events: names, properties, ids, and what belongs to an attempt."""

from __future__ import annotations

import gzip
from typing import Any

import attrs
import orjson
import pytest
from support.exporters import POSTHOG, T0, Story, deliver, late, record

from sessiontrace.export.protocol import Batch, Reply, Request
from sessiontrace.model.record import END, EVENT, START, Record
from sessiontrace.model.secret import Secret
from sessiontrace.vendors.posthog.exporter import PostHogExporter, stamp
from sessiontrace.vendors.shared.body_transforms import BodyTransform
from sessiontrace.vendors.shared.responses import NONE


def events(*records: Record) -> list[dict[str, Any]]:
    return [one for body in deliver(POSTHOG, records).bodies for one in body["batch"]]


def test_a_session_is_a_trace_and_its_model_call_a_generation() -> None:
    """The user of the session is the person of all its events."""
    story = Story()
    start = story.start()
    call = story.model(start, error="Timeout: slow")
    generation, trace = events(
        record(START, start), record(EVENT, call), record(END, story.end(start))
    )
    assert trace["event"] == "$ai_trace"
    assert trace["uuid"] == start["session_id"]
    assert trace["distinct_id"] == generation["distinct_id"] == "ada"
    assert trace["properties"]["$ai_input_state"] == {"question": "why?"}
    assert trace["properties"]["$ai_output_state"] == {"result": "because"}
    assert trace["properties"]["$ai_latency"] == 1.0
    assert trace["properties"]["$set"] == {"user_id": "ada"}
    assert generation["event"] == "$ai_generation"
    assert generation["uuid"] == call["event_id"]
    assert generation["timestamp"] == "2026-09-21T14:13:20.000Z"
    properties = generation["properties"]
    assert properties["$ai_trace_id"] == properties["$ai_session_id"] == start["session_id"]
    assert properties["$ai_parent_id"] == start["session_id"]
    assert properties["$ai_span_id"] == call["event_id"]
    assert properties["$ai_model"] == "gpt-9"
    assert properties["$ai_provider"] == "openai"
    assert properties["$ai_input"] == [{"role": "user", "content": "why?"}]
    assert properties["$ai_output_choices"] == [{"role": "assistant", "content": "because"}]
    assert properties["$ai_input_tokens"] == 11
    assert properties["$ai_output_tokens"] == 5
    assert properties["$ai_temperature"] == 0.5
    assert properties["$ai_is_error"] is True
    assert properties["$ai_error"] == "Timeout: slow"


def test_a_tool_is_a_span_and_an_embedding_an_embedding() -> None:
    """Two more kinds of event, by type and by config.type."""
    story = Story()
    start = story.start()
    tool = story.event(start)
    embedding = story.model(
        start, config={"model": "e-1", "type": "embedding"}, inputs={"input": ["a", "b"]}
    )
    span, embedded = events(record(EVENT, tool), record(EVENT, embedding))
    assert (span["event"], span["properties"]["$ai_span_type"]) == ("$ai_span", "tool")
    assert embedded["event"] == "$ai_embedding"
    assert embedded["properties"]["$ai_input"] == ["a", "b"]
    assert "$ai_output_choices" not in embedded["properties"]


def test_an_event_says_who_made_it_and_what_it_used() -> None:
    """PostHog has properties for these, and its views and cost rules read them."""
    story = Story()
    start = story.start()
    metadata = {
        "framework": "langchain", "server_address": "api.openai.com", "agent_name": "planner",
        "prompt_name": "greeting", "prompt_version": 7, "prompt_tokens": 11, "total_tokens": 16,
        "cache_write_5m_tokens": 3, "error": {"type": "openai.RateLimitError", "message": "slow"},
    }  # fmt: skip
    (generation,) = events(record(EVENT, story.model(start, metadata=metadata, error="slow")))
    expected = {
        "$ai_lib": "sessiontrace", "$ai_framework": "langchain",
        "$ai_base_url": "api.openai.com", "$ai_agent_name": "planner",
        "$ai_prompt_name": "greeting", "$ai_prompt_version": "7",
        "$ai_error_type": "openai.RateLimitError", "$ai_cache_reporting_exclusive": False,
        "$ai_cache_creation_5m_input_tokens": 3,
        "$ai_usage": {"prompt_tokens": 11, "total_tokens": 16, "cache_write_5m_tokens": 3},
    }  # fmt: skip
    assert generation["properties"].items() >= expected.items()
    assert generation["properties"]["$ai_lib_version"]
    (trace,) = events(record(END, story.end(start)))
    assert trace["properties"]["$ai_trace_name"] == trace["properties"]["$ai_span_name"]


def test_a_call_without_counts_says_nothing_of_them() -> None:
    """Neither zeros nor a flag about nothing."""
    story = Story()
    (generation,) = events(record(EVENT, story.model(story.start(), metadata={"framework": True})))
    names = generation["properties"].keys()
    assert names.isdisjoint({"$ai_usage", "$ai_cache_reporting_exclusive", "$ai_framework"})
    assert not [name for name in names if "cost" in name]


@pytest.mark.parametrize(
    ("kind", "metadata", "span_type"),
    [
        ("chain", {}, "chain"),
        ("tool", {}, "tool"),
        ("chain", {"span_kind": "agent"}, "agent"),
        ("chain", {"span_kind": "GUARDRAIL"}, "guardrail"),
        ("chain", {"span_kind": "handoff"}, "handoff"),
        ("tool", {"span_kind": "function"}, "tool"),
        ("tool", {"span_kind": "mcp_tools"}, "mcp_tools"),
        ("chain", {"agent_name": "planner"}, "agent"),
        ("agent", {}, "agent"),
        ("retriever", {}, "retriever"),
        ("guardrail", {}, "guardrail"),
        ("evaluator", {}, "evaluator"),
        ("chain", {"span_kind": "turn"}, "chain"),
        ("chain", {"span_kind": {"odd": 1}}, "chain"),
    ],
)
def test_a_span_has_the_type_that_posthogs_own_sdk_would_give_it(
    kind: str, metadata: dict[str, Any], span_type: str
) -> None:
    """Where a library says more than "chain"; our own type for everything else."""
    story = Story()
    (span,) = events(record(EVENT, story.event(story.start(), kind, metadata=metadata)))
    assert span["properties"]["$ai_span_type"] == span_type


def test_a_conversation_belongs_to_its_user() -> None:
    """The turn says who it is, and the events of the turn go to the same person."""
    story = Story()
    turn = {**story.start(metadata={"session_id": "chat 7"}), "event_id": story.id()}
    call = story.event(turn)
    records = record(START, turn), record(EVENT, call), record(END, story.end(turn))
    delivered = events(*records)
    assert [event["distinct_id"] for event in delivered] == ["ada", "ada"]
    assert all(event["properties"]["$process_person_profile"] for event in delivered)


def test_without_a_user_there_is_no_person() -> None:
    """The session's id stands in, and no profile is made of it."""
    story = Story()
    event = story.event(story.start())
    (span,) = events(record(EVENT, event))
    assert span["distinct_id"] == event["session_id"]
    assert span["properties"]["$process_person_profile"] is False
    assert "$set" not in span["properties"]


@pytest.mark.parametrize(
    ("hours", "session_id", "told"),
    [
        (0, None, True),
        (23, None, True),
        (24, None, False),
        (-1, None, False),
        (0, "5b0d4c5e-3f0b-5c86-9a53-2f6f7c1d9e10", False),
    ],
)
def test_session_id_is_told_only_where_posthog_would_take_it(
    hours: int, session_id: str | None, told: bool
) -> None:
    """Our own v7 ids, and events within 24 h of them; a uuid5 of a caller's id is no session."""
    story = Story()
    start = story.start(session_id)
    story.at = T0 + hours * 3_600_000
    (span,) = events(record(EVENT, story.event(start)))
    assert ("$session_id" in span["properties"]) is told
    assert span["properties"]["$ai_session_id"] == start["session_id"]


def test_late_scores_are_events_of_their_own_with_fixed_ids() -> None:
    """Metrics and feedback, one event each; sent twice they have the same ids and times."""
    story = Story()
    call = story.model(story.start())
    score = late(call, metrics={"relevance": 0.5}, feedback={"helpful": True})
    metric, feedback = events(score)
    assert metric["event"] == "$ai_metric"
    assert metric["properties"]["$ai_metric_name"] == "relevance"
    assert metric["properties"]["$ai_metric_value"] == "0.5"
    assert metric["properties"]["$ai_span_id"] == call["event_id"]
    assert feedback["event"] == "$ai_feedback"
    assert feedback["properties"]["$ai_feedback_text"] == "true"
    assert metric["uuid"] != feedback["uuid"]
    assert events(score) == [metric, feedback]


def test_a_late_score_of_a_conversation_has_the_time_of_its_last_turn() -> None:
    """A uuid5 tells no time; what the process heard of the session does, else nothing is said."""
    story = Story()
    session_id = "5b0d4c5e-3f0b-5c86-9a53-2f6f7c1d9e10"
    turn = {**story.start(session_id), "event_id": story.id()}
    score = late({"event_id": session_id, "session_id": session_id}, metrics={"m": 1})
    *_, metric = events(record(START, turn), record(END, story.end(turn)), score)
    assert metric["timestamp"] == "2026-09-21T14:13:21.000Z"
    (alone,) = events(score)
    assert "timestamp" not in alone


@pytest.mark.parametrize(
    "odd",
    [
        {"event_id": "not a uuid", "session_id": "x\0y", "event_type": "chain"},
        {"event_id": "", "session_id": "", "event_type": "model", "start_time": -5},
        {"event_id": "a", "session_id": "b", "event_name": "", "start_time": 10**18},
        {"event_id": "a", "session_id": "b", "inputs": [1], "metadata": "x", "config": 7},
        {"event_id": "a", "session_id": "b", "user_properties": {"user_id": "u" * 500}},
    ],
)
def test_whatever_a_record_holds_its_event_is_legal(odd: dict[str, Any]) -> None:
    """PostHog refuses the whole batch for one bad event, so none is ever made."""
    import uuid

    (event,) = events(Record(EVENT, b"*", orjson.dumps(odd)))
    assert event["event"]
    assert 0 < len(event["distinct_id"]) <= 200 or not odd["session_id"]
    assert "\0" not in event["distinct_id"]
    uuid.UUID(event["uuid"])
    assert isinstance(event.get("timestamp", ""), str)
    assert isinstance(event["properties"], dict)


def test_an_event_that_grows_over_900_kib_is_cut() -> None:
    """A record may be 512 KiB, and its event more: it is cut before it is sent."""
    story = Story()
    event = story.model(story.start(), inputs={"text": '"' * 500_000})
    told = deliver(POSTHOG, [record(EVENT, event)])
    assert told.acked == 1
    assert len(told.requests[0].body) < 900 << 10
    assert b"cut" in told.requests[0].body


def test_an_event_that_stays_too_large_is_refused_alone() -> None:
    """Ten thousand children's ids cannot be cut; the other events of the batch still go."""
    story = Story()
    start = story.start()
    monster = story.event(start, event_name="n" * 1_000_000)
    records = [record(EVENT, monster), record(EVENT, story.event(start))]
    told = deliver(POSTHOG, records)
    assert told.rejected == [(records[0], "over 900 KiB, even cut")]
    assert told.acked == 1
    assert [one.method for one in told.requests] == ["POST", NONE]


def test_the_key_and_the_time_of_the_attempt_are_stamped_when_it_is_sent() -> None:
    """encode() knows neither clock nor key; every attempt has its own sent_at and the same rest."""
    (request,) = deliver(POSTHOG, [record(EVENT, Story().event(Story().start()))]).requests
    assert b"phc_" not in request.body
    first = orjson.loads(stamp(request.body, Secret("phc_1"), T0))
    second = orjson.loads(stamp(request.body, Secret("phc_1"), T0 + 60_000))
    assert first["api_key"] == "phc_1"
    assert first["sent_at"] == "2026-09-21T14:13:20.000Z"
    assert second["sent_at"] == "2026-09-21T14:14:20.000Z"
    assert first["batch"] == second["batch"] == orjson.loads(request.body)["batch"]


class _Inner:
    def __init__(self) -> None:
        self.sent: list[Request] = []
        self.closed = False

    async def send(self, request: Request, records: object) -> Reply:
        self.sent.append(request)
        return Reply(204)

    async def close(self) -> None:
        self.closed = True


@pytest.mark.asyncio
async def test_the_finishing_transport_stamps_and_keeps_refusals_off_the_network() -> None:
    """A request of method NONE is answered on the spot; the others go out stamped."""
    inner = _Inner()
    transport = BodyTransform(inner, lambda body: b"stamped " + body)
    request = Request("POST", "/batch/", b"{}", (0,))
    assert await transport.send(attrs.evolve(request, method=NONE), ()) == Reply(200)
    assert await transport.send(request, ()) == Reply(204)
    assert [one.body for one in inner.sent] == [b"stamped {}"]
    await transport.close()
    assert inner.closed


@pytest.mark.asyncio
async def test_a_compressed_body_is_the_same_body() -> None:
    """Stamped first, gzip after it; twice the same bytes, whatever the size."""
    inner = _Inner()
    transport = BodyTransform(inner, lambda body: b"stamped " + body, gzip=True)
    bodies = [b"", b"{}", b"x" * 100_000]
    for body in bodies * 2:
        await transport.send(Request("POST", "/batch/", body, (0,)), ())
    packed = [one.body for one in inner.sent]
    assert [gzip.decompress(one) for one in packed[:3]] == [b"stamped " + one for one in bodies]
    assert packed[3:] == packed[:3]
    assert len(packed[2]) < 1_000


def test_a_batch_is_stable_while_it_is_split() -> None:
    """Encoding a part again, as a split does, gives the same events: the user is remembered."""
    story = Story()
    start = story.start()
    event = record(EVENT, story.event(start))
    exporter = PostHogExporter()
    whole = [r for stage in exporter.encode(Batch([record(START, start), event])) for r in stage]
    part = [r for stage in exporter.encode(Batch([event])) for r in stage]
    assert whole[0].body == part[0].body
