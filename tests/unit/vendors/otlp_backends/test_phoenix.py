"""Phoenix: what it reads under OpenInference's names only, and scores as annotations.

What the pages of a real Phoenix show is in ``docs/otel-backends.md``.
"""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from support.exporters import Story, record, spans

import sessiontrace as st
from sessiontrace.export.protocol import Batch, Delivered, Rejected, Reply, Request, Settled
from sessiontrace.model.ids import session_uuid
from sessiontrace.model.record import END, EVENT, START, UPDATE, Record
from sessiontrace.vendors.otlp.exporter import OTLPExporter
from sessiontrace.vendors.otlp_backends.phoenix_scores import PhoenixScores

DESTINATION = st.Phoenix(base_url="http://localhost:6006")


def exporter() -> OTLPExporter:
    return OTLPExporter(translate=DESTINATION.translate, scores=PhoenixScores())


def requests(*records: Record) -> list[Request]:
    return [request for stage in exporter().encode(Batch(records)) for request in stage]


def attributes(body: dict[str, Any]) -> dict[str, Any]:
    """Of the span of an event."""
    (request,) = requests(record(EVENT, body))
    (span,) = spans(request)
    return {
        entry["key"]: next(iter(entry["value"].values())) for entry in span["attributes"]
    }  # fmt: skip


def test_a_model_call_has_its_chat_in_the_lists_of_spans() -> None:
    """Phoenix's columns show the ids of the answer instead, and nothing of what went in."""
    story = Story()
    call = story.event(
        story.start(), "model", inputs={"messages": [{"role": "user", "content": "Why?"}]},
        outputs={"role": "assistant", "content": "So."},
    )  # fmt: skip
    shown = attributes(call)
    assert orjson.loads(shown["input.value"])[0]["parts"][0]["content"] == "Why?"
    assert (shown["output.value"], shown["output.mime_type"]) == ("So.", "text/plain")
    call["outputs"] = {"choices": [{"role": "assistant", "content": text} for text in "ab"]}
    assert len(orjson.loads(attributes(call)["output.value"])) == 2


def test_a_long_chat_is_not_sent_twice() -> None:
    """Above 16 KiB the columns stay empty; the messages are there."""
    story = Story()
    chat = {"messages": [{"role": "user", "content": "x" * 17_000}]}
    shown = attributes(story.event(story.start(), "model", inputs=chat))
    assert "gen_ai.input.messages" in shown
    assert "input.value" not in shown


def test_a_question_is_a_text_and_metadata_one_object() -> None:
    """The view of a conversation shows texts as texts; Phoenix filters by ``metadata``."""
    story = Story()
    shown = attributes(
        story.event(
            story.start(),
            "chain",
            inputs={"question": "Why?"},
            outputs={"a": 1, "b": 2},
            metadata={"plan": "pro", "limits": {"a": 1}, "service": "shop"},
        )
    )
    assert (shown["input.value"], shown["input.mime_type"]) == ("Why?", "text/plain")
    assert orjson.loads(shown["output.value"]) == {"a": 1, "b": 2}
    assert orjson.loads(shown["metadata"]) == {"plan": "pro", "limits": {"a": 1}}


def test_documents_are_numbered() -> None:
    """A document without an id or a score is one, too."""
    story = Story()
    documents = [{"page_content": "rain", "metadata": {"page": 3}}, {"id": "b", "score": 0.5}]
    shown = attributes(
        story.event(story.start(), outputs=documents, metadata={"operation": "retrieval"})
    )
    prefix = "retrieval.documents."
    fields = {name.removeprefix(prefix): shown[name] for name in shown if name.startswith(prefix)}
    assert fields == {
        "0.document.content": "rain", "0.document.metadata": '{"page":3}',
        "1.document.id": "b", "1.document.score": 0.5,
    }  # fmt: skip


def annotations(*records: Record) -> list[tuple[str, dict[str, Any]]]:
    """Path and annotation of each score."""
    return [
        (request.path, annotation)
        for request in requests(*records)
        if request.path != "/v1/traces"
        for annotation in orjson.loads(request.body)["data"]
    ]


def test_the_scores_of_a_session_annotate_its_span() -> None:
    """They go behind the spans; a measure such as a duration is no score."""
    story = Story()
    start = story.start()
    end = story.end(
        start, metrics={"helpful": 0.9, "total_ms": 7}, feedback={"helpful_comment": "!"}
    )
    ((path, annotation),) = annotations(record(START, start), record(END, end))
    assert path == "/v1/span_annotations"
    assert annotation == {
        "span_id": start["event_id"].replace("-", "")[16:],
        "name": "helpful",
        "annotator_kind": "CODE",
        "identifier": "sessiontrace",
        "result": {"score": 0.9, "explanation": "!"},
    }


def test_a_late_score_makes_no_span() -> None:
    """Phoenix would list it as a trace or turn of its own; a late correction still is a span."""
    story = Story()
    start = story.start()
    score = {"event_id": start["event_id"], "session_id": start["session_id"]}
    sent = requests(record(UPDATE, {**score, "feedback": {"tone": "kind"}}))
    assert [request.path for request in sent] == ["/v1/span_annotations"]
    assert orjson.loads(sent[0].body)["data"][0]["result"] == {"label": "kind"}
    sent = requests(record(UPDATE, {**score, "metrics": {"a": 1}, "outputs": {"answer": "So."}}))
    assert [request.path for request in sent] == ["/v1/traces", "/v1/span_annotations"]


def test_the_score_of_a_conversation_annotates_phoenix_session() -> None:
    """A conversation has no span of its own; Phoenix knows it by the application's id."""
    story = Story()
    session_id = session_uuid("chat-7")
    turn = story.start(
        event_id=story.id(), session_id=session_id, metadata={"session_id": "chat-7"}
    )
    late = {"event_id": session_id, "session_id": session_id, "metrics": {"solved": True}}
    ((path, annotation),) = annotations(record(START, turn), record(UPDATE, late))
    assert path == "/v1/session_annotations"
    assert annotation["session_id"] == "chat-7"
    assert annotation["result"] == {"score": 1.0, "label": "true"}


@pytest.mark.parametrize("name", ["chat-7", "4f0c9dba-7ae8-4d7a-9f31-000000000001"])
def test_a_score_of_a_conversation_of_another_process(name: str) -> None:
    """Of an id that is a UUID, Phoenix has the session; of any other, the score says why not."""
    session_id = session_uuid(name)
    late = {"event_id": session_id, "session_id": session_id, "metrics": {"solved": 1}}
    (request,) = requests(record(UPDATE, late))
    if name == session_id:
        assert request.path == "/v1/session_annotations"
        assert orjson.loads(request.body)["data"][0]["session_id"] == session_id
    else:
        outcome = exporter().interpret(request, Reply(200))
        assert isinstance(outcome, Rejected)
        assert "no turn of the conversation" in outcome.reasons[0]


@pytest.mark.parametrize(
    ("reply", "carried", "late"),
    [
        (Reply(200), Settled(), Delivered()),
        (Reply(404), Settled(1, "the score: HTTP 404"), Rejected({0: "the score: HTTP 404"})),
        (Reply(422), Settled(1, "the score: HTTP 422"), Rejected({0: "the score: HTTP 422"})),
    ],
)
def test_C35_a_refused_score_rejects_no_span(reply: Reply, carried: Any, late: Any) -> None:
    """The spans have the scores too; only a late score has nothing else, and is rejected."""
    story = Story()
    start = story.start()
    end = record(END, story.end(start, metrics={"helpful": 1}))
    score = {"event_id": start["event_id"], "session_id": start["session_id"], "metrics": {"a": 1}}
    exporting = exporter()
    _, request = requests(end)
    assert exporting.interpret(request, reply) == carried
    (request,) = requests(record(UPDATE, score))
    assert exporting.interpret(request, reply) == late
