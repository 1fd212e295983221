"""What each exporter sends, the local server understands: the same session whichever the road."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from support.roads import ROADS, road
from support.server_process import serving

import sessiontrace as st
from sessiontrace.model.step_types import STEP_TYPES
from sessiontrace.store.models import SessionQuery
from sessiontrace.store.query.parser import parse
from sessiontrace.store.sqlite.store import SqliteStore

pytestmark = pytest.mark.contract


def travel(traced: st.Tracer) -> dict[str, Any]:
    """A session with a chain, a model call and a tool that failed; what it was."""
    with traced.session("travel", user="ada", inputs={"question": "Where to?"}) as session:
        with traced.span("plan", type="chain") as plan:
            with traced.span(
                "ask",
                type="model",
                inputs={"chat_history": [{"role": "user", "content": "Where to?"}]},
                config={"model": "m-1", "provider": "openai"},
            ) as ask:
                ask.set(
                    outputs={"role": "assistant", "content": "To Genoa."},
                    metadata={"prompt_tokens": 7, "completion_tokens": 3},
                )
            book = traced.span("book", type="tool", inputs={"city": "Genoa"})
            with pytest.raises(ValueError, match="no seat"), book:
                raise ValueError("no seat")
        session.set(outputs="To Genoa.")
    ids = {one.name: one.event_id for one in (plan, ask, book)}
    return {"session": session.session_id, **ids}


@pytest.mark.parametrize("name", ROADS)
def test_a_session_arrives_with_its_ids_names_types_and_texts(name: str, tmp_path: Path) -> None:
    """Read from the server's own store: nothing that the road can carry is lost on it."""
    if name == "otlp-protobuf":
        pytest.importorskip("opentelemetry.proto", reason="needs opentelemetry-proto")
    with serving(tmp_path / "store.db") as served:
        traced = st.Tracer(road(name, served), spool=tmp_path / "spool", service="shop")
        ids = travel(traced)
        report = traced.flush(20)
        delivery = traced.stats().destinations[road(name, served).name]
        traced.shutdown(5)
        assert report.complete, report
        assert (delivery.rejected, delivery.pending) == (0, 0), delivery
    store = SqliteStore(tmp_path / "store.db", read_only=True)
    stored = store.session(ids["session"])
    assert stored is not None
    assert stored.summary.name == "travel"
    assert stored.record["inputs"] == {"question": "Where to?"}
    events = {one.name: one for one in stored.events}
    assert set(events) == {"plan", "ask", "book"}
    assert {one: events[one].type for one in events} == {
        "plan": "chain",
        "ask": "model",
        "book": "tool",
    }
    assert events["ask"].parent_id == events["plan"].event_id
    assert events["book"].parent_id == events["plan"].event_id
    assert events["ask"].tokens == 10
    assert "no seat" in str(events["book"].error)
    ask = store.event(events["ask"].event_id)
    assert ask is not None
    assert "To Genoa." in str(ask["outputs"])
    assert "Where to?" in str(ask["inputs"])
    store.close()


@pytest.mark.parametrize("name", ["honeyhive", "posthog", "otlp"])
def test_each_type_of_step_arrives_as_it_was_recorded(name: str, tmp_path: Path) -> None:
    """Also where the vendor has three types, and each is found by its type."""
    with serving(tmp_path / "store.db") as served:
        traced = st.Tracer(road(name, served), spool=tmp_path / "spool")
        with traced.session("typed"):
            for kind in STEP_TYPES:
                with traced.span(f"a {kind}", type=kind, metadata={"b": 2}):
                    pass
        assert traced.flush(20).complete
        traced.shutdown(5)
    store = SqliteStore(tmp_path / "store.db", read_only=True)
    for kind in STEP_TYPES:
        terms = parse(f"type:{kind}", 0)
        (summary,) = store.sessions(SessionQuery(terms=terms)).sessions
        stored = store.session(summary.session_id)
        assert stored is not None
        (event,) = (one for one in stored.events if one.name == f"a {kind}")
        assert event.type == kind
        record = store.event(event.event_id)
        assert record is not None
        assert record["metadata"]["b"] == 2
        assert "span_kind" not in record["metadata"]
    store.close()


def test_all_roads_lead_to_the_same_session(tmp_path: Path) -> None:
    """HoneyHive, Humanloop and PostHog carry our ids whole, so fanning out makes no copies."""
    with serving(tmp_path / "store.db") as served:
        roads = [road(name, served) for name in ("honeyhive", "humanloop", "posthog")]
        traced = st.Tracer(*roads, spool=tmp_path / "spool")
        ids = travel(traced)
        assert traced.flush(20).complete
        traced.shutdown(5)
    store = SqliteStore(tmp_path / "store.db", read_only=True)
    page = store.sessions(SessionQuery())
    assert [one.session_id for one in page.sessions] == [ids["session"]]
    stored = store.session(ids["session"])
    assert stored is not None
    assert {one.event_id for one in stored.events} == {ids["plan"], ids["ask"], ids["book"]}
    store.close()


def talk(traced: st.Tracer) -> list[str]:
    """Two turns of a conversation with a stream and a refusal, and a late score; its sessions."""
    for question in ("Where to?", "When?"):
        with traced.session("travel", session_id="trip 7", user="ada", tags=["sea"]) as turn:
            messages = [{"role": "user", "content": [{"type": "text", "text": question}]}]
            with traced.span("ask", type="model", inputs={"messages": messages}) as ask:
                for _ in traced.stream(iter(["To ", "Genoa."])):
                    pass
                ask.set(config={"model": "m-1", "hyperparameters": {"temperature": 0}})
            with contextlib.suppress(ConnectionError), traced.span("book", type="tool"):
                raise ConnectionError("429") from KeyError("seat")
            turn.set(outputs={"answer": None}, feedback={"rating": 5})
    traced.score("taste", 0.5, comment="fine", session_id="trip 7", event_id=ask.event_id)
    traced.score("verdict", "good", session_id="trip 7")
    return [turn.session_id, travel(traced)["session"]]


def test_serve_has_the_session_that_the_local_destination_has(tmp_path: Path) -> None:
    """One program, both destinations: the same rows and the same records, field by field."""
    with serving(tmp_path / "served.db") as served:
        otlp = st.OTLP(endpoint=served.url)
        local = st.Local(path=tmp_path / "local.db")
        traced = st.Tracer(local, otlp, spool=tmp_path / "spool", service="shop")
        session_ids = talk(traced)
        assert traced.flush(20).complete
        traced.shutdown(5)
    here = SqliteStore(tmp_path / "local.db", read_only=True)
    there = SqliteStore(tmp_path / "served.db", read_only=True)
    for session_id in session_ids:
        stored = here.session(session_id)
        assert stored is not None
        assert len(stored.events) > 2
        assert stored == there.session(session_id)
        for event in stored.events:
            assert here.record(event.event_id) == there.record(event.event_id)
    here.close()
    there.close()
