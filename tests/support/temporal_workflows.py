"""Workflows and activities of Temporal, in a module of their own, which its sandbox imports anew.

``tracing``: where the activities' own spans are recorded. ``attempts``: of ``pay``.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError

import sessiontrace as st

__all__ = ["Counter", "Refund", "Trip", "Wrong", "attempts", "pay", "reserve", "tracing"]

SOON: dict[str, Any] = {"start_to_close_timeout": timedelta(seconds=20)}
ONCE = RetryPolicy(maximum_attempts=1)

tracing: list[Any] = []
attempts: list[int] = []


@activity.defn
async def reserve(seat: str) -> str:
    """An awaited activity."""
    with tracing[-1].span(f"look for {seat}"):
        if seat == "none":
            raise ValueError("no seat")
    return f"seat {seat}"


@activity.defn
def pay(amount: int) -> int:
    """An activity in a pool of threads, which fails once."""
    with tracing[-1].span("bank"):
        attempts.append(amount)
        if len(attempts) == 1:
            raise ValueError("busy")
    return amount


@workflow.defn
class Refund:
    """A local activity, as a child."""

    @workflow.run
    async def run(self, amount: int) -> int:
        """Pay."""
        return await workflow.execute_local_activity(pay, amount, **SOON)


@workflow.defn
class Trip:
    """An activity, a timer and a child workflow."""

    @workflow.run
    async def run(self, seat: str) -> dict[str, Any]:
        """Book."""
        with st.span("in workflow code"):
            booked = await workflow.execute_activity(reserve, seat, retry_policy=ONCE, **SOON)
        await workflow.sleep(0.01)
        paid = await workflow.execute_child_workflow(Refund.run, 7)
        return {"booked": booked, "paid": paid}


@workflow.defn
class Counter:
    """A chain of runs."""

    @workflow.run
    async def run(self, left: int) -> int:
        """Count down."""
        await workflow.execute_activity(reserve, f"no {left}", **SOON)
        if left:
            workflow.continue_as_new(left - 1)
        return left


@workflow.defn
class Wrong:
    """A failure, or an endless wait."""

    @workflow.run
    async def run(self, wait: bool) -> None:
        """Fail."""
        await workflow.sleep(3600 if wait else 0.01)
        raise ApplicationError("no trip", type="TripError")
