"""MLflow: what it reads under its own names, and scores as assessments, one request each.

What the pages of a real MLflow show is in ``docs/otel-backends.md``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
from support.exporters import Story, record, spans
from support.fake_backend import Backend

import sessiontrace as st
from sessiontrace.export.protocol import Batch, Rejected, Reply, Request, Retry, Settled
from sessiontrace.model.ids import TRACE_ID, session_uuid
from sessiontrace.model.record import END, EVENT, START, UPDATE, Record
from sessiontrace.vendors.otlp.exporter import OTLPExporter
from sessiontrace.vendors.otlp_backends.mlflow_scores import MLflowScores

DESTINATION = st.MLflow(base_url="http://localhost:5000")


def exporter() -> OTLPExporter:
    return OTLPExporter(translate=DESTINATION.translate, scores=MLflowScores())


def requests(*records: Record) -> list[Request]:
    return [request for stage in exporter().encode(Batch(records)) for request in stage]


def attributes(body: dict[str, Any]) -> dict[str, Any]:
    """Of the span of an event, under MLflow's names."""
    (request,) = requests(record(EVENT, body))
    (span,) = spans(request)
    return {entry["key"]: next(iter(entry["value"].values())) for entry in span["attributes"]}


def test_tags_and_metadata_of_a_turn_are_tags_of_its_trace() -> None:
    """MLflow filters traces by tags; they are texts."""
    story = Story()
    shown = attributes(
        story.event(story.start(), "chain", metadata={"tags": ["vip"], "plan": "pro", "tries": 3})
    )
    prefix = "mlflow.traceTag."
    tags = {name.removeprefix(prefix): shown[name] for name in shown if name.startswith(prefix)}
    assert tags == {"vip": "true", "plan": "pro", "tries": "3"}


def test_a_turn_is_a_chat_of_texts() -> None:
    """MLflow's view of a session shows question and answer as a chat where they are texts."""
    story = Story()
    question, answer = {"question": "Why?"}, {"answer": "So."}
    shown = attributes(story.event(story.start(), "chain", inputs=question, outputs=answer))
    assert (shown["input.value"], shown["output.value"]) == ("Why?", "So.")
    assert shown["input.mime_type"] == "text/plain"


def test_an_embedding_counts_and_costs_are_ours() -> None:
    """MLflow adds up totals only, and knows no prices of new models."""
    story = Story()
    costs = {"cost": 0.5, "prompt_cost": 0.5, "completion_cost": 0.0}
    shown = attributes(story.event(story.start(), "model", metadata={"prompt_tokens": 8, **costs}))
    assert shown["gen_ai.usage.output_tokens"] == "0"
    assert orjson.loads(shown["mlflow.llm.cost"]) == {
        "input_cost": 0.5, "output_cost": 0.0, "total_cost": 0.5,
    }  # fmt: skip


def test_documents_have_the_form_that_the_page_shows() -> None:
    """A text that is a document is one."""
    story = Story()
    documents = [{"id": "a", "content": "rain", "score": 0.5}, "sun"]
    shown = attributes(
        story.event(story.start(), outputs=documents, metadata={"operation": "retrieval"})
    )
    assert orjson.loads(shown["mlflow.spanOutputs"]) == [
        {"page_content": "rain", "metadata": {"score": 0.5}, "id": "a"},
        {"page_content": "sun", "metadata": {}, "id": None},
    ]


def assessments(*records: Record) -> list[tuple[str, dict[str, Any]]]:
    """The trace and the assessment of each score."""
    return [
        (request.path.split("/")[-2], orjson.loads(request.body)["assessment"])
        for request in requests(*records)
        if request.path.endswith("/assessments")
    ]


def test_scores_assess_the_trace_or_its_step() -> None:
    """The score of a session or turn is that of the trace; that of a step names its span."""
    story = Story()
    start = story.start()
    step = story.event(start, metrics={"relevance": 0.5})
    end = story.end(start, metrics={"helpful": True}, feedback={"helpful_comment": "!"})
    (on_step, on_trace) = assessments(record(EVENT, step), record(END, end))
    trace = f"tr-{start['session_id'].replace('-', '')}"
    assert (on_step[0], on_trace[0]) == (trace, trace)
    assert on_step[1]["span_id"] == step["event_id"].replace("-", "")[16:]
    assert on_step[1]["feedback"] == {"value": 0.5}
    assert "span_id" not in on_trace[1]
    assert (on_trace[1]["feedback"], on_trace[1]["rationale"]) == ({"value": True}, "!")


def test_the_score_of_a_conversation_is_its_sessions() -> None:
    """It belongs to one of the conversation's traces; without one it is rejected with a reason."""
    story = Story()
    session_id, trace_id = session_uuid("chat-7"), "a" * 32
    turn = story.start(
        event_id=story.id(),
        session_id=session_id,
        metadata={"session_id": "chat-7", TRACE_ID: trace_id},
    )
    late = record(
        UPDATE, {"event_id": session_id, "session_id": session_id, "feedback": {"tone": "kind"}}
    )
    turns = record(START, turn), record(END, story.end(turn))
    ((trace, assessment),) = assessments(*turns, late)
    assert trace == f"tr-{trace_id}"
    assert assessment["metadata"] == {"mlflow.trace.session": "chat-7"}
    assert assessment["feedback"] == {"value": "kind"}
    (request,) = requests(turns[0], late)
    outcome = exporter().interpret(request, Reply(200))
    assert isinstance(outcome, Rejected)
    assert "no turn" in outcome.reasons[1]


def test_scores_that_fail_hold_no_spans_back_for_long() -> None:
    """After a few tries they are left out and counted: the spans carry them too."""
    exporting = exporter()
    end = record(END, Story().end(Story().start(), metrics={"helpful": 1}))
    _, request = requests(end)
    outcomes = [exporting.interpret(request, Reply(503)) for _ in range(5)]
    assert [type(outcome) for outcome in outcomes] == [Retry] * 4 + [Settled]
    assert outcomes[-1] == Settled(1, "the score: HTTP 503")


def test_a_score_arrives_as_json_beside_the_spans(tmp_path: Path) -> None:
    """The whole way: spans in protobuf, compressed as asked; the API for scores takes neither."""
    with Backend() as backend:
        tracer = st.Tracer(
            st.MLflow(base_url=backend.url, project="3", gzip=True), spool=tmp_path, service="shop"
        )
        with tracer.session("chat", session_id="chat-7"):
            tracer.score("helpful", 0.9, comment="at once")
        assert tracer.flush(20).complete
        tracer.shutdown(5)
        spans_request, score = backend.requests
    assert spans_request.headers["content-type"] == "application/x-protobuf"
    assert spans_request.headers["content-encoding"] == "gzip"
    assert score.headers["content-type"] == "application/json"
    assert "content-encoding" not in score.headers
    assert score.headers["x-mlflow-experiment-id"] == "3"
    assert score.json["assessment"]["feedback"] == {"value": 0.9}
