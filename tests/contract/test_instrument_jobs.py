"""Jobs of dramatiq, rq and arq: a session each, or part of the session that sent them."""

from __future__ import annotations

from typing import Any

import pytest
from support.instrumented import ModelTracer, instrumented

pytest.importorskip("dramatiq", reason="the contract group is not installed")
pytest.importorskip("rq", reason="the contract group is not installed")
pytest.importorskip("arq", reason="the contract group is not installed")
pytest.importorskip("fakeredis", reason="the contract group is not installed")

import arq.worker
import dramatiq
import fakeredis
import rq
from dramatiq.brokers.stub import StubBroker

pytestmark = [pytest.mark.contract, pytest.mark.timeout(60)]

_tracing: list[ModelTracer] = []


def book(seat: str) -> str:
    """A job of rq, found by its name."""
    with _tracing[-1].span("work"):
        if seat == "none":
            raise ValueError("no seat")
    return f"seat {seat}"


def ended(tracing: ModelTracer) -> list[dict[str, Any]]:
    return [record for kind, record in tracing.records if kind == "end"]


def steps(tracing: ModelTracer) -> dict[str, dict[str, Any]]:
    return {event["event_name"]: event for event in tracing.events}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_dramatiq() -> None:
    """A message sent in a session is a step of it; one of its own is a session; failures show."""
    with instrumented("dramatiq") as tracing:
        broker = StubBroker()
        broker.emit_after("process_boot")

        @dramatiq.actor(broker=broker, max_retries=0)
        def reserve(seat: str) -> str:
            with tracing.span("work"):
                if seat == "none":
                    raise ValueError("no seat")
            return f"seat {seat}"

        worker = dramatiq.Worker(broker, worker_timeout=50, worker_threads=2)
        worker.start()
        with tracing.session("shop") as session:
            reserve.send("7A")
            broker.join(reserve.queue_name)
            worker.join()
        reserve.send("none")
        broker.join(reserve.queue_name, fail_fast=False)
        worker.join()
        worker.stop()
        broker.close()
    inside = [event for event in tracing.events if event["session_id"] == session.session_id]
    assert [event["event_name"] for event in inside] == ["work", "reserve"]
    assert inside[1]["inputs"] == {"args": ["7A"], "kwargs": {}}
    assert inside[1]["outputs"] == {"result": "seat 7A"}
    failed = next(end for end in ended(tracing) if end["event_name"] == "reserve")
    assert failed["error"] == "ValueError: no seat"


def test_rq() -> None:
    """The job's ``meta`` carries the session through Redis; the program's own entries stay."""
    with instrumented("rq") as tracing:
        _tracing.append(tracing)
        connection = fakeredis.FakeStrictRedis()
        queue = rq.Queue(connection=connection)
        with tracing.session("shop") as session:
            queue.enqueue(book, "7A", meta={"own": 1})
        failing = queue.enqueue(book, "none")
        rq.SimpleWorker([queue], connection=connection).work(burst=True, logging_level="CRITICAL")
        assert failing.get_status() == "failed"
        assert tracing.current.get() is None
    inside = [event for event in tracing.events if event["session_id"] == session.session_id]
    assert [event["event_name"] for event in inside] == ["work", f"{__name__}.book"]
    assert inside[1]["outputs"] == {"result": "seat 7A"}
    failed = next(end for end in ended(tracing) if end["event_name"].endswith("book"))
    assert failed["error"] == "ValueError: no seat"


@pytest.mark.asyncio
async def test_arq() -> None:
    """A job is a session with its arguments and its result."""

    async def reserve(ctx: dict[str, Any], seat: str) -> str:
        with tracing.span("work"):
            return f"seat {seat}"

    with instrumented("arq") as tracing:
        worker = arq.worker.Worker([reserve], handle_signals=False, redis_pool=None)
        function = next(iter(worker.functions.values()))
        assert await function.coroutine({"job_id": "j-1", "job_try": 1}, "7A") == "seat 7A"
    (end,) = ended(tracing)
    assert (end["event_name"].split(".")[-1], end["outputs"]) == ("reserve", {"result": "seat 7A"})
    assert end["metadata"]["job_id"] == "j-1"
    assert steps(tracing)["work"]["session_id"] == end["session_id"]
