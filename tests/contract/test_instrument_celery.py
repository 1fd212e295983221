"""Celery: a task continues its caller's session in the worker."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.instrumented import ModelTracer, instrumented

celery = pytest.importorskip("celery", reason="the contract group is not installed")

pytestmark = [
    pytest.mark.contract,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture
def tracing() -> Iterator[ModelTracer]:
    import celery.signals  # noqa: F401 - celery loads it lazily

    with instrumented("celery") as tracer:
        yield tracer


@pytest.fixture
def app(tracing: ModelTracer) -> Any:
    """An application with a broker in memory and two tasks."""
    app = celery.Celery("stub", broker="memory://", backend="cache+memory://")

    @app.task(name="add", shared=False)
    def add(a: int, b: int) -> int:
        with tracing.span("inside"):
            return a + b

    @app.task(name="fail", shared=False)
    def fail() -> None:
        raise ValueError("theirs")

    @app.task(name="celery.ping", shared=False)
    def ping() -> str:
        return "pong"

    return app


@pytest.mark.slow
def test_a_task_is_a_span_of_its_callers_session(tracing: ModelTracer, app: Any) -> None:
    """Sent inside a session; run in a worker's thread; recorded below the sender's span."""
    from celery.contrib.testing.worker import start_worker

    with start_worker(app, perform_ping_check=False, pool="solo", shutdown_timeout=100):
        with tracing.session() as session, tracing.span("send") as send:
            good = app.tasks["add"].delay(2, 3)
            bad = app.tasks["fail"].delay()
            assert good.get(timeout=100) == 5
            with pytest.raises(ValueError, match="theirs"):
                bad.get(timeout=100)

    events = {event["event_name"]: event for event in tracing.events}
    assert events["add"]["session_id"] == session.session_id
    assert events["add"]["parent_id"] == send.event_id
    assert events["add"]["outputs"] == {"result": 5}
    assert events["add"]["inputs"]["args"] == [2, 3]
    assert events["inside"]["parent_id"] == events["add"]["event_id"]
    assert events["fail"]["error"] == "ValueError: theirs"


def test_a_task_outside_a_session_is_its_own(tracing: ModelTracer, app: Any) -> None:
    """Run at once (eager), with no sender."""
    app.conf.task_always_eager = True
    assert app.tasks["add"].delay(1, 1).get() == 2

    heads = [head.split()[0] for head, _ in tracing.records]
    assert heads == ["start", "event", "end"]
    assert tracing.records[0][1]["event_name"] == "add"
