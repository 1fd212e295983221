"""Every request of the exporters, checked against what the vendors' APIs take."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from support import facts
from support.exporters import (
    FLOWS,
    HONEYHIVE,
    HUMANLOOP,
    POSTHOG,
    T0,
    Story,
    VendorCase,
    deliver,
    late,
    record,
)
from support.published_contracts import Check, judge_of

from sessiontrace.export.protocol import Request
from sessiontrace.model.record import END, EVENT, START, Record
from sessiontrace.model.secret import Secret
from sessiontrace.vendors.posthog.exporter import stamp
from sessiontrace.vendors.shared.responses import NONE

pytestmark = pytest.mark.contract

HEADERS = {
    HONEYHIVE: ("honeyhive", {"Authorization": "Bearer hh_test"}),
    HUMANLOOP: ("humanloop", {"X-API-KEY": "hl_test"}),
}


def requests_of(vendor: VendorCase, *batches: list[Record]) -> list[Request]:
    exporter = vendor.make()
    return [
        request
        for batch in batches
        for request in deliver(vendor, batch, exporter=exporter).requests
        if request.method != NONE
    ]


def stories() -> dict[str, list[list[Record]]]:
    """Batches that together make every kind of request and fill every field."""
    story = Story()
    start = story.start(tags=None, config={"a": 1})
    start.pop("tags")
    tool_call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    history = [
        {"role": "developer", "content": "be kind"},
        {"role": "user", "content": [{"type": "text", "text": "why?"}]},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x/i"}}]},
        {"role": "assistant", "content": None, "tool_calls": [tool_call]},
        {"role": "tool", "content": "42", "tool_call_id": "c1"},
        {"role": "user", "content": [{"type": "audio", "audio": "…"}]},
    ]
    call = story.model(
        start,
        inputs={"chat_history": history},
        outputs={"choices": [{"role": "assistant", "content": "so", "tool_calls": [tool_call]}]},
        metrics={"score": 0.5, "ok": True, "many": [1, 2], "none": None},
        feedback={"rating": "good", "tags": ["a", "b"], "deep": {"x": 1}},
        user_properties={"user_id": 7},
        error="RuntimeError: x",
    )
    odd = story.model(
        start,
        config={
            "model": None,
            "provider": "elsewhere",
            "hyperparameters": {"stop": 3, "seed": 1.5},
        },
        inputs={"messages": [{"role": "robot", "content": "?"}]},
        outputs={"result": None},
        metadata={"prompt_tokens": "many", "cost": "dear"},
    )
    plain = story.model(start, inputs={"text": "why?"}, outputs={"result": {"a": [1]}})
    chain = story.event(start, "chain", config={"b": 2}, children_ids=[call["event_id"]])
    events = [record(EVENT, one) for one in (call, odd, plain, chain, story.event(chain))]
    end = record(END, story.end(start, error="ValueError: y", feedback={"stars": 5}))
    scores = [
        late(call, feedback={"rating": "bad"}, metrics={"score": 0.1}),
        late(call, outputs={"result": "later"}, error="late"),
        late(start, feedback={"stars": 1}, metadata={"k": "v"}),
    ]
    turn = {**story.start(story.id()), "event_id": story.id()}
    return {
        "whole": [[record(START, start), *events, end], scores],
        "cut": [[record(START, start)], events, [end], scores],
        "scored at once": [[record(START, start), *events, *scores, end]],
        "turn": [[record(START, turn), record(EVENT, story.event(turn)), record(END, turn)]],
        "turn cut": [
            [record(START, turn)],
            [record(END, story.end(turn))],
            [late(turn, metrics={"m": 1})],
        ],
        "nothing in it": [
            [
                record(START, story.start("01890000-0000-7000-8000-00000000beef", inputs={})),
                record(
                    EVENT,
                    {
                        "event_id": story.id(),
                        "session_id": "01890000-0000-7000-8000-00000000beef",
                        "event_type": "chain",
                        "inputs": {},
                    },
                ),
            ]
        ],
    }


@pytest.fixture(params=[HONEYHIVE, HUMANLOOP], ids=lambda vendor: vendor.name)
def vendor(request: pytest.FixtureRequest) -> VendorCase:
    return request.param


@pytest.fixture
def check(vendor: VendorCase) -> Check:
    return judge_of(*HEADERS[vendor])


@pytest.mark.parametrize("name", stories())
def test_the_vendors_api_takes_every_request(vendor: VendorCase, check: Check, name: str) -> None:
    """Whole sessions, sessions cut in two, turns, scores: each request is legal to the letter."""
    requests = requests_of(vendor, *stories()[name])
    assert requests
    for request in requests:
        check(request.method, request.path, request.body)


def test_the_check_would_notice(vendor: VendorCase, check: Check) -> None:
    """The judge is awake: a request with its ids as numbers is refused by it."""
    path = {HONEYHIVE: "/v1/sessions", HUMANLOOP: "/logs"}[vendor]
    with pytest.raises(Exception, match=r"is not (a list|text)"):
        check("POST", path, orjson.dumps({"session_id": 7, "reference_id": 7}))


@pytest.mark.parametrize("name", stories())
def test_posthog_takes_every_request(name: str) -> None:
    """PostHog publishes no document: what its ingestion takes is stated from its source."""
    stated = facts.load("posthog")
    for request in requests_of(POSTHOG, *stories()[name]):
        body = orjson.loads(stamp(request.body, Secret("phc_key"), T0))
        stated.check_request(request.method, request.path, body)


def test_posthogs_facts_would_notice() -> None:
    """A generation without messages, a user's id that PostHog would cut, an unknown field."""
    stated = facts.load("posthog")
    (request,) = requests_of(POSTHOG, [record(EVENT, Story().model(Story().start()))])
    (event,) = orjson.loads(request.body)["batch"]
    bodies: list[dict[str, Any]] = [
        {**event, "distinct_id": "x" * 201},
        {**event, "colour": "red"},
        {**event, "properties": {**event["properties"], "$ai_input": "why?"}},
    ]
    stated.check_request("POST", "/batch/", {"api_key": "k", "batch": [event]})
    for body in bodies:
        with pytest.raises(facts.FactError):
            stated.check_request("POST", "/batch/", {"api_key": "k", "batch": [body]})


def test_humanloop_v5_has_no_document_here_but_a_shape() -> None:
    """Its requests carry what the official v5 client sends: path, log_id, status, times as text."""
    for batches in stories().values():
        for request in requests_of(FLOWS, *batches):
            body = orjson.loads(request.body)
            if request.method == "POST":
                assert body["path"].startswith("sessiontrace/")
                assert isinstance(body["log_id"], str)
                if request.path == "/flows/log":
                    assert body["log_status"] == "incomplete"
                assert all(isinstance(body.get(n, ""), str) for n in ("start_time", "output"))
            else:
                assert request.path.startswith(("/flows/logs/", "/prompts/", "/tools/"))
