"""Async redactors: records wait in a queue and go on in order, and none goes on unredacted."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import orjson
import pytest

import sessiontrace as st
from sessiontrace.capture.redaction import async_redactor
from sessiontrace.capture.redaction.async_redactor import AsyncRedactionQueue


class NextStage:
    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.drops: list[str] = []

    def offer(self, head: bytes, body: bytes) -> bool:
        self.bodies.append(orjson.loads(body))
        return True


def record(number: int, **fields: Any) -> bytes:
    envelope = {"event_id": f"{number:036}", "session_id": "0" * 36, "start_time": 5}
    return orjson.dumps({**envelope, "event_name": "secret", "inputs": {"n": number}, **fields})


def test_records_go_on_redacted_and_in_their_order() -> None:
    """Those that take longest do not fall behind; ids and times are never shown to a function."""
    onward, seen = NextStage(), set[str]()

    async def hide(field: str, value: Any) -> Any:
        seen.add(field)
        await asyncio.sleep(0.01 if value == {"n": 0} else 0)
        return value if field == "inputs" else "hidden"

    queue = AsyncRedactionQueue([hide], onward.offer, onward.drops.append)
    for number in range(70):
        assert queue.offer(b"event", record(number))
    assert queue.drain(10)
    assert [body["inputs"]["n"] for body in onward.bodies] == list(range(70))
    assert {body["event_name"] for body in onward.bodies} == {"hidden"}
    assert seen == {"event_name", "inputs"}
    assert queue.close(5)
    assert not queue.offer(b"event", record(1))
    assert onward.drops == ["closed"]


def test_a_function_that_fails_loses_the_field_only() -> None:
    """Fail closed, as with sync ones."""
    onward = NextStage()

    async def broken(field: str, value: Any) -> Any:
        if field == "inputs":
            raise RuntimeError
        return value

    queue = AsyncRedactionQueue([broken], onward.offer, onward.drops.append)
    queue.offer(b"event", record(1, outputs={"kept": 1}))
    assert queue.close(10)
    (body,) = onward.bodies
    assert body["inputs"] == {}
    assert body["outputs"] == {"kept": 1}
    assert body["metadata"] == {"redaction_failed": ["inputs"]}


def test_what_is_not_done_in_time_is_dropped_and_counted() -> None:
    """At exit there is no time for a function that hangs; its records must not leak out."""
    onward, go = NextStage(), threading.Event()

    async def hang(field: str, value: Any) -> Any:
        while not go.is_set():
            await asyncio.sleep(0.005)
        raise RuntimeError

    queue = AsyncRedactionQueue([hang], onward.offer, onward.drops.append)
    for number in range(40):
        queue.offer(b"event", record(number))
    assert not queue.close(0.05)
    go.set()
    assert onward.drops.count("unredacted") >= 8
    assert queue.drain(10)
    assert len(onward.drops) + len(onward.bodies) == 40
    assert all(body["inputs"] == {} for body in onward.bodies)


def test_no_more_waits_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounded by number; the newest are dropped and counted."""
    monkeypatch.setattr(async_redactor, "_RECORDS_MAX", 3)
    onward, go = NextStage(), threading.Event()

    async def wait(field: str, value: Any) -> Any:
        while not go.is_set():
            await asyncio.sleep(0.005)
        return value

    queue = AsyncRedactionQueue([wait], onward.offer, onward.drops.append)
    for number in range(50):
        queue.offer(b"event", record(number))
    go.set()
    assert queue.close(10)
    assert onward.drops
    assert len(onward.bodies) + len(onward.drops) == 50


def test_a_tracer_takes_sync_and_async_functions_together(tmp_path: Path) -> None:
    """Through the real pipeline: the spool never sees what the async one hides."""

    async def later(field: str, value: Any) -> Any:
        with tracer.span("inside the redactor"):  # must neither recurse nor be recorded
            await asyncio.sleep(0)
        return {"later": True} if field == "outputs" else value

    def now(field: str, value: Any) -> Any:
        return {"now": True} if field == "inputs" else value

    store = st.Local(path=tmp_path / "store.db")
    tracer = st.Tracer(store, spool=tmp_path / "spool", redact=[now, later, "customer"])
    with tracer.session("chat"), tracer.span("step", inputs={"a": "hunter2"}) as span:
        span.set(outputs={"b": "hunter2"}, metadata={"customer": "hunter2", "n": 1})
    report = tracer.flush(10)
    assert report
    segments = b"".join(path.read_bytes() for path in (tmp_path / "spool").rglob("*.seg"))
    assert b"hunter2" not in segments
    assert segments.count(b'"later":true') == 1
    assert segments.count(b'"now":true') >= 1
    assert b"inside the redactor" not in segments
    tracer.shutdown(10)
    assert report.stats.dropped == {}
