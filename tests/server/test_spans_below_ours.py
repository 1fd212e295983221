"""Spans of other libraries whose parent is an event of our SDK, over OTLP or in the same store.

An application uses sessiontrace, and a library in it sends OpenTelemetry spans of its own: they
name our span as their parent. It may come in the same request, in an earlier or a later one, or be
in the store already, where the application writes to it.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from support.otlp_replicas import apply
from support.otlp_requests import START, request, span

from sessiontrace.model.ids import new_id
from sessiontrace.model.record import EVENT, Record
from sessiontrace.model.record import START as STARTS
from sessiontrace.server.apis.otlp.mapping import convert
from sessiontrace.server.record_builder import build_record
from sessiontrace.store.sqlite.store import SqliteStore
from sessiontrace.wire.otlp_json_reader import from_json


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "store.db")
    yield store
    store.close()


def take(store: SqliteStore, steps: Sequence[dict[str, Any]]) -> None:
    received, _ = from_json(request(*steps))
    for step, sent in zip(received, steps, strict=True):
        step.scope = sent.get("scope", "openai")
    assembly = convert(received).assembly
    change, again = assembly.plan(store), True
    while again:
        apply(store, change)
        change, again = assembly.settle(store)
    apply(store, change)


def ours(session_id: str, event_id: str) -> dict[str, Any]:
    """A span of our exporter: an event of our SDK in its session's trace."""
    attributes = {
        "sessiontrace.event.id": event_id, "sessiontrace.event.type": "chain",
        "sessiontrace.event.name": "answer", "sessiontrace.parent.id": session_id,
        "session.id": session_id,
    }  # fmt: skip
    trace, own = uuid.UUID(session_id).hex, uuid.UUID(event_id).hex[16:]
    parent = trace[16:]
    return span("answer", trace, parent, spanId=own, attributes=attributes, scope="sessiontrace")


def theirs(session_id: str, parent: str) -> dict[str, Any]:
    """A model call of another library below one of our events."""
    attributes = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}
    trace, above = uuid.UUID(session_id).hex, uuid.UUID(parent).hex[16:]
    return span("chat", trace, above, spanId="ab" * 8, attributes=attributes, scope="openai")


@pytest.mark.parametrize("requests", [[(0, 1)], [(0,), (1,)], [(1,), (0,)], [(1,), (0,), (1,)]],
                         ids=["one request", "after it", "before it", "and again"])  # fmt: skip
def test_a_span_below_an_event_of_ours_is_its_child(
    store: SqliteStore, requests: list[tuple[int, ...]]
):
    """In whatever order the two exporters send."""
    session_id, event_id = new_id(), new_id()
    spans = [ours(session_id, event_id), theirs(session_id, event_id)]
    for numbers in requests:
        take(store, [spans[number] for number in numbers])
    session = store.session(session_id)
    assert session is not None
    (child,) = (event for event in session.events if event.type == "model")
    assert child.parent_id == event_id


def test_a_span_below_an_event_that_the_application_stored_itself_is_its_child(store: SqliteStore):
    """The SDK writes to the store, another library sends OTLP to the server over it."""
    session_id, event_id = new_id(), new_id()
    at = START // 1_000_000
    head = {"session_id": session_id, "start_time": at, "inputs": {}}
    start = {**head, "event_id": session_id, "event_type": "session", "event_name": "chat"}
    step = {**head, "event_id": event_id, "event_type": "chain", "event_name": "answer",
            "parent_id": session_id, "end_time": at + 5, "duration": 5.0}  # fmt: skip
    records: list[Record] = [build_record(STARTS, start), build_record(EVENT, step)]
    store.write(records)
    take(store, [theirs(session_id, event_id)])
    session = store.session(session_id)
    assert session is not None
    (child,) = (event for event in session.events if event.type == "model")
    assert child.parent_id == event_id
