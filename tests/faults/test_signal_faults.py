"""Catalogue B, signals: what a handler raises is the user's, and the record is still whole."""

from __future__ import annotations

import gc
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from support.fake_backend import Backend
from support.tracers import arrived, hive, tracing

import sessiontrace as st
from sessiontrace.runtime.signals import is_from_signal

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs setitimer")


class SoftTimeLimitError(Exception):
    """As a job queue's."""


@pytest.fixture
def backend() -> Iterator[Backend]:
    with Backend() as server:
        yield server


@pytest.fixture(params=[SoftTimeLimitError, KeyboardInterrupt])
def raising(request: pytest.FixtureRequest) -> Iterator[type[BaseException]]:
    """SIGALRM raises this, in whatever runs; the handler of Ctrl-C is written in C."""

    def raise_limit(number: int, frame: FrameType | None) -> None:
        raise SoftTimeLimitError

    is_limit = request.param is SoftTimeLimitError
    handler = raise_limit if is_limit else signal.default_int_handler
    before = signal.signal(signal.SIGALRM, handler)
    gc.disable()  # Python itself ignores what is raised within a callback of a collection
    yield request.param
    gc.enable()
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


class Hostile:
    """A value whose repr takes a moment: the signal often comes within it."""

    def __repr__(self) -> str:
        return "".join(str(number) for number in range(200))


def with_block(tracer: st.Tracer, number: int, entered: list[int]) -> None:
    with tracer.span(f"step {number}", inputs={"number": number, "value": Hostile()}) as span:
        entered.append(number)
        span.set(outputs={"values": [Hostile() for _ in range(3)]}, metadata={"n": number})


def decorated(tracer: st.Tracer, number: int, entered: list[int]) -> None:
    @tracer.tool(name=f"step {number}")
    def work(value: Any) -> Any:
        entered.append(number)
        return {"value": value}

    work(Hostile())


def generated(tracer: st.Tracer, number: int, entered: list[int]) -> None:
    @tracer.tool(name=f"step {number}")
    def work() -> Iterator[Any]:
        entered.append(number)
        yield Hostile()
        yield 2

    list(work())


@pytest.mark.parametrize("way", [with_block, decorated, generated])
def test_B28_what_a_signal_handler_raises_reaches_the_user(
    backend: Backend, tmp_path: Path, way: Any, raising: type[BaseException]
) -> None:
    """A timer fires at 200 instants of a traced call: each exception comes out of it, the
    counts stay right, and each call whose body began has one whole record, interrupted or not.
    """
    with tracing(tmp_path / "spool", hive(backend)) as tracer:
        entered: list[int] = []
        raised = 0
        with tracer.session("s"):
            for number in range(200):
                try:
                    signal.setitimer(signal.ITIMER_REAL, 0.000_02 + number * 0.000_004)
                    for _ in range(40):
                        way(tracer, number, entered)
                    time.sleep(0.1)
                except raising:
                    raised += 1
                way(tracer, 1_000 + number, entered)
        assert raised == 200
        report = tracer.flush(20)
        assert report.complete
        assert not report.stats.dropped
        delivery = report.stats.destinations["honeyhive"]
        assert delivery.acked == report.stats.accepted
    events = arrived(backend)
    assert len({event["event_id"] for event in events}) == len(events)
    records = Counter(event["event_name"] for event in events)
    assert not Counter(f"step {number}" for number in entered) - records


def test_B28_the_handler_is_known_by_the_frame_that_it_interrupted() -> None:
    """A failing value of the user's is not a signal; a handler is, in each form."""
    with pytest.raises(SoftTimeLimitError) as failure:
        fail(None)
    assert not is_from_signal(failure.value)
    for handler in (fail_two, fail_any, lambda *_: fail(None), Handler(), Handler().method):
        before = signal.signal(signal.SIGALRM, handler)
        try:
            with pytest.raises(SoftTimeLimitError) as failure:
                signal.raise_signal(signal.SIGALRM)
            assert is_from_signal(failure.value)
        finally:
            signal.signal(signal.SIGALRM, before)


def fail(value: object) -> None:
    raise SoftTimeLimitError


def fail_two(number: int, frame: FrameType | None) -> None:
    raise SoftTimeLimitError


def fail_any(*args: object) -> None:
    raise SoftTimeLimitError


class Handler:
    def __call__(self, number: int, frame: FrameType | None) -> None:
        raise SoftTimeLimitError

    def method(self, number: int, frame: FrameType | None) -> None:
        raise SoftTimeLimitError
