"""Celery with a worker of its own: a task is part of the session of the process that sent it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.fake_backend import eventually
from support.run_command import run_to_its_end, running, stored

pytest.importorskip("celery", reason="the contract group is not installed")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.contract]

TASKS = """
import os
import celery
from celery.exceptions import SoftTimeLimitExceeded
import sessiontrace as st

here = os.getcwd()
app = celery.Celery("tasks", broker="filesystem://", backend=f"file://{here}/results")
app.conf.broker_transport_options = {
    "data_folder_in": f"{here}/queue",
    "data_folder_out": f"{here}/queue",
    "control_folder": f"{here}/control",
    "polling_interval": 0.05,
}
app.conf.broker_connection_retry_on_startup = True

@app.task
def add(a, b):
    return a + b

@app.task
def fail():
    raise ValueError("theirs")

@app.task(soft_time_limit=0.3)
def outlast():
    steps, values = 0, [str(number) for number in range(5_000)]
    try:
        while True:
            with st.span("step", inputs={"values": values}):
                steps += 1
    except SoftTimeLimitExceeded:
        return steps
"""

SEND = """
import sessiontrace as st
import tasks

with st.session("order"), st.span("send"):
    good, bad = tasks.add.delay(2, 3), tasks.fail.delay()
    assert good.get(timeout=120) == 5
    assert str(bad.get(timeout=120, propagate=False)) == "theirs"
    open("steps", "w").write(str(tasks.outlast.delay().get(timeout=120)))
"""


def test_a_task_in_a_worker_process_joins_its_callers_session(tmp_path: Path) -> None:
    """Sender and worker are two programs; the worker runs tasks in a forked child. There the soft
    time limit of a task raises in the middle of a step: it arrives, and each step is recorded.
    """
    for folder in ("results", "queue", "control"):
        (tmp_path / folder).mkdir()
    (tmp_path / "tasks.py").write_text(TASKS)
    (tmp_path / "send.py").write_text(SEND)
    words = ["celery", "-A", "tasks", "worker", "--pool", "prefork", "-c", "1", "-l", "error"]
    with running(tmp_path, *words):
        run_to_its_end(tmp_path, "send.py")
        eventually(lambda: {"tasks.fail", "tasks.outlast"} <= events(tmp_path).keys(), 90)

    tree_events = events(tmp_path)
    assert (
        tree_events["tasks.add"].parent_id
        == tree_events["tasks.fail"].parent_id
        == tree_events["send"].event_id
    )
    assert tree_events["tasks.add"].name == "tasks.add"
    assert tree_events["tasks.fail"].error == "ValueError: theirs"
    (session,) = stored(tmp_path)
    steps = [event for event in session.events if event.name == "step"]
    assert {step.parent_id for step in steps} == {tree_events["tasks.outlast"].event_id}
    assert len(steps) == int((tmp_path / "steps").read_text()) > 0


def events(home: Path) -> dict[str, Any]:
    """The events of the one session, by name."""
    (session,) = stored(home)
    return {event.name: event for event in session.events}
