"""Catalogue B, configuration: ``init`` again under open handles, stages that hold records before
the spool, threads that cannot be started, tracers that are dropped.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.fake_backend import Backend, answer, eventually, stall
from support.subprocesses import run
from support.tracers import arrived, hive, names, settled, steps, tracing

import sessiontrace as st
from sessiontrace import retirement


@pytest.fixture
def backend() -> Iterator[Backend]:
    with Backend() as server:
        yield server


@pytest.fixture
def other() -> Iterator[Backend]:
    with Backend() as server:
        yield server


def test_B22_each_request_may_call_init_first(backend: Backend, tmp_path: Path) -> None:
    """Forty requests in four threads call ``init`` with the same configuration, each before its
    session. Nothing is replaced: every session ends where it began.
    """
    with tracing(tmp_path / "spool", hive(backend)) as tracer:

        def serve() -> None:
            for number in range(10):
                tracer.configure((hive(backend),), {"spool": tmp_path / "spool"})
                steps(tracer, 3, start=3 * number)

        threads = [threading.Thread(target=serve) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        report = tracer.flush(10)
        assert report.complete
        assert report.stats.accepted == 40 * 5
        assert not report.stats.dropped
    assert len(arrived(backend)) == 120


def test_B22_init_again_ends_no_open_handle(
    backend: Backend, other: Backend, tmp_path: Path
) -> None:
    """Another thread configures another backend while a session is open: the session ends in the
    first, the next one goes to the second, and the counts hold both.
    """
    with tracing(tmp_path / "spool", hive(backend)) as tracer:
        with tracer.session("open"):
            with tracer.span("before"):
                pass
            again = threading.Thread(
                target=tracer.configure, args=((hive(other),), {"spool": tmp_path / "spool"})
            )
            again.start()
            again.join()
            with tracer.span("after"):
                pass
        with tracer.session("next"), tracer.span("elsewhere"):
            pass
        report = tracer.flush(10)
        assert report.complete
        assert report.stats.accepted == 4 + 3
        assert report.stats.destinations["honeyhive"].acked == 7
        assert not report.stats.dropped
    assert names(backend) == {"before", "after"}
    assert names(other) == {"elsewhere"}


def test_B22_an_init_that_a_signal_interrupted_is_done_by_the_next_one(
    backend: Backend, other: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A timeout comes in the middle of ``init``, after the configuration was taken and before the
    recorder was replaced. The request is tried again, and its records go where it says.
    """

    class SoftTimeLimitError(Exception):
        """As a job queue's."""

    replace = getattr(st.Tracer, "_replace_generation")  # noqa: B009

    def replace_and_raise(*arguments: Any) -> None:
        replace(*arguments)
        monkeypatch.undo()
        raise SoftTimeLimitError

    with tracing(tmp_path / "spool", hive(backend)) as tracer:
        steps(tracer, 1)
        monkeypatch.setattr(st.Tracer, "_replace_generation", replace_and_raise)
        options = {"spool": tmp_path / "spool"}
        with pytest.raises(SoftTimeLimitError):
            tracer.configure((hive(other),), options)
        tracer.configure((hive(other),), options)
        steps(tracer, 1, start=1)
        eventually(lambda: names(other) == {"step 1"})
    assert names(backend) == {"step 0"}


def test_B22_a_span_that_outlives_a_replaced_pipeline_still_arrives(
    backend: Backend, other: Backend, tmp_path: Path
) -> None:
    """Its session has ended and the pipeline was closed in the background; the record opens it
    anew, and does not reach the other backend.
    """
    with tracing(tmp_path / "spool", hive(backend)) as tracer:
        with tracer.session("first"):
            late = tracer.start_span("late")
        first = tracer._generation
        tracer.configure((hive(other),), {"spool": tmp_path / "spool"})
        assert first is not None
        eventually(lambda: first.is_gone, 10)
        late.end()
        assert tracer.flush(10).complete
        assert tracer.stats().accepted == 3
    assert names(backend) == {"late"}
    assert not names(other)


def test_B22_the_old_configuration_comes_back(
    backend: Backend, other: Backend, tmp_path: Path
) -> None:
    """A program that configures a tenant's key for each request changes between a few
    configurations: each keeps one pipeline, and no thread is left over.
    """
    before = set(threading.enumerate())
    with tracing(tmp_path / "spool", hive(backend)) as tracer:
        for number in range(20):
            target = hive(backend if number % 2 else other)
            tracer.configure((target,), {"spool": tmp_path / "spool"})
            steps(tracer, 1, start=number)
        ours = [t for t in threading.enumerate() if t not in before]
        assert len([t for t in ours if t.name.startswith("sessiontrace-")]) < 12
        assert tracer.flush(10).complete
        assert tracer.stats().accepted == 60
    assert len(arrived(backend)) == len(arrived(other)) == 10


def test_B22_init_does_not_wait_for_a_backend_that_hangs(
    backend: Backend, other: Backend, tmp_path: Path
) -> None:
    """Six configurations follow each other while the first backend takes requests and never
    answers: no call waits, and its records go to the spool, from where they are delivered.
    """
    backend.responder = lambda request: [stall(60)]
    tracer = st.Tracer(hive(backend), spool=tmp_path / "spool")
    steps(tracer, 5)
    begun = time.monotonic()
    for number in range(6):
        tracer.configure((hive(other),), {"spool": tmp_path / "spool", "service": str(number)})
        steps(tracer, 1, start=100 + number)
    assert time.monotonic() - begun < 1.5
    assert not tracer.flush(0.5).complete
    tracer.shutdown(0.5)
    backend.responder = lambda request: answer()
    with tracing(tmp_path / "spool", hive(backend)) as later:
        steps(later, 1, start=50)
        eventually(lambda: {f"step {number}" for number in range(5)} <= names(backend), 15)
    assert len(names(other)) == 6


def test_B22_a_function_in_the_options_is_the_same_when_it_does_the_same(tmp_path: Path) -> None:
    """``init(redact=lambda ...)`` in a request handler makes a new function object each time; it
    is one configuration as long as the code and the values that it closes over are the same.
    """

    def configure(tracer: st.Tracer, secret: str) -> object:
        tracer.configure(
            ("local",),
            {"spool": tmp_path / "spool", "redact": lambda field, value: (secret, value)[1]},
        )
        return tracer._generation

    with tracing(tmp_path / "spool") as tracer:
        one = configure(tracer, "a")
        assert configure(tracer, "a") is one
        assert configure(tracer, "b") is not one
        assert configure(tracer, "a") is one


SHORT = """
import sys, sessiontrace as st
async def redact(field, value):
    return value
st.init(st.HoneyHive(api_key="k", base_url=sys.argv[1]), spool=sys.argv[2], redact=redact)
for number in range(100):
    with st.session("s"):
        for step in range(3):
            with st.span(f"{number} {step}"):
                pass
"""


def test_B23_an_async_redactor_loses_nothing_of_a_short_program(
    backend: Backend, tmp_path: Path
) -> None:
    """The program ends while its records wait for the redactor: exit redacts, spools and sends."""
    run(SHORT, tmp_path, backend.url, str(tmp_path / "spool"))
    assert len(names(backend)) == 300


async def slow(field: str, value: Any) -> Any:
    """A redactor that asks a service."""
    import asyncio

    await asyncio.sleep(0.4)
    return value


def test_B23_flush_is_not_complete_while_records_wait_for_a_redactor(
    backend: Backend, tmp_path: Path
) -> None:
    """200 records wait for a slow redactor when flush runs out of time: the report says so, and
    the counts hold the records that wait.
    """
    with tracing(tmp_path / "spool", hive(backend), redact=slow) as tracer:
        steps(tracer, 200)
        report = tracer.flush(0.3)
        assert not report.complete
        assert report.stats.waiting > 100
        assert report.stats.offered == 202
        assert "waiting" in str(report)


def test_B23_what_a_redactor_raises_is_accounted(
    backend: Backend, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """SystemExit in a redactor, of its own or of a task that it left behind, costs a field or a
    record, which is counted; the thread goes on, and asyncio reports no task that never ended.
    """
    import asyncio

    async def leave() -> None:
        raise SystemExit(3)

    tasks = []

    async def exits(field: str, value: Any) -> Any:
        if "exit" in str(value):
            raise SystemExit(2)
        if "task" in str(value):
            tasks.append(asyncio.ensure_future(leave()))
            await asyncio.sleep(0.01)
        return value

    with tracing(tmp_path / "spool", hive(backend), redact=exits) as tracer:
        steps(tracer, 40, what="plain")
        steps(tracer, 1, start=100, what="exit")
        assert tracer.flush(5).complete
        steps(tracer, 1, start=200, what="task")
        tracer.flush(5)
        steps(tracer, 40, start=300, what="plain")
        assert tracer.flush(5).complete
        stats = tracer.stats()
        assert stats.offered == 40 + 1 + 1 + 40 + 8
        assert stats.accepted + stats.dropped.get("unredacted", 0) == stats.offered
        assert "step 339" in names(backend)
    tasks.clear()
    gc.collect()
    assert "destroyed" not in caplog.text


def test_B23_a_stopped_clock_does_not_hang_the_redactor(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """freezegun and its like stop ``time.monotonic``: waiting for a redactor is bounded still."""
    with tracing(tmp_path / "spool", hive(backend), redact=slow) as tracer:
        steps(tracer, 50)
        queue = tracer._generation.queue  # type: ignore[union-attr]
        assert queue is not None
        now = time.monotonic()
        with monkeypatch.context() as frozen:
            frozen.setattr(time, "monotonic", lambda: now)
            assert not queue.drain(0.2)


@pytest.mark.parametrize("name", ["keeper", "sender", "redactor"])
@pytest.mark.parametrize("trigger", ["record", "flush", "exit"])
def test_B24_a_thread_that_could_not_be_started_is_tried_again(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, trigger: str
) -> None:
    """The container's limit of processes is reached when the first record comes, and not later:
    the next record, flush and exit start what is missing, and everything arrives.
    """

    async def keep(field: str, value: Any) -> Any:
        return value

    redact = {"redact": keep} if name == "redactor" else {}
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == f"sessiontrace-{name}":
            raise RuntimeError("can't start new thread")
        start(thread)

    with tracing(tmp_path / "spool", hive(backend), **redact) as tracer:
        with monkeypatch.context() as limited:
            limited.setattr(threading.Thread, "start", refuse)
            steps(tracer, 3)
        if trigger == "record":
            steps(tracer, 1, start=3)
            settled(tracer)
            eventually(lambda: len(names(backend)) == 4)
        elif trigger == "flush":
            assert tracer.flush(10).complete
        else:
            assert tracer.shutdown(10).complete
        assert {"step 0", "step 1", "step 2"} <= names(backend)


def test_B25_a_dropped_tracer_leaves_no_thread(backend: Backend, tmp_path: Path) -> None:
    """A program makes a tracer for each job and forgets most of them: their threads end, and what
    they recorded arrives. Where too many waited at once, the next tracer recovers the rest.
    """
    before = threading.active_count()
    for number in range(30):
        tracer = st.Tracer(hive(backend), spool=tmp_path / "spool", exit_timeout=1.0)
        steps(tracer, 2, start=2 * number)
        if number % 2:
            tracer.shutdown(5)
    del tracer
    gc.collect()
    eventually(lambda: threading.active_count() <= before + 2, 20)
    later = st.Tracer(hive(backend), spool=tmp_path / "spool", exit_timeout=1.0)
    steps(later, 1, start=60)
    eventually(lambda: len(names(backend)) == 61, 30)
    later.shutdown(5)


def test_B25_a_dropped_tracer_is_given_up_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its worker asks for the tracer every half second, also while the pipeline is closed with
    records that its backend did not take: nothing waits for those any more.
    """
    retired: list[object] = []
    monkeypatch.setattr(retirement, "retire", retired.append)
    tracer = st.Tracer(hive("http://127.0.0.1:9"), spool=tmp_path / "spool", exit_timeout=0.1)
    steps(tracer, 1)
    generation = tracer._generation
    assert generation is not None
    del tracer
    gc.collect()
    eventually(lambda: retired == [generation])
    generation.retire(0.1)
    generation.check_owner()
    assert (retired, generation.is_gone) == ([generation], True)


def test_B25_dropped_tracers_whose_backend_hangs_leave_few_threads(tmp_path: Path) -> None:
    """Twenty tracers are dropped while nothing can be delivered: most end after leaving their
    records to the spool, for the next run.
    """
    with Backend() as hung:
        hung.responder = lambda request: [stall(60)]
        before = threading.active_count()
        for number in range(20):
            tracer = st.Tracer(hive(hung), spool=tmp_path / "spool", exit_timeout=0.5)
            steps(tracer, 1, start=number)
        del tracer
        gc.collect()
        eventually(lambda: threading.active_count() <= before + 20, 30)
