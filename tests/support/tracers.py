"""Whole tracers for tests: real spool, real threads, a HoneyHive that is a `Backend`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support.fake_backend import Backend, Seen, answer, eventually

import sessiontrace as st

if TYPE_CHECKING:
    from sessiontrace.report import DeliveryStats

__all__ = ["arrived", "fail_some", "hive", "names", "settled", "steps", "tracing"]

KEY = "hh_a_key_of_tests"


def hive(backend: Backend | str, name: str = "", key: str = KEY) -> st.HoneyHive:
    """HoneyHive at this backend (or URL)."""
    url = backend if isinstance(backend, str) else backend.url
    return st.HoneyHive(api_key=key, base_url=url, name=name)


@contextmanager
def tracing(spool: Path, *targets: Any, **options: Any) -> Iterator[st.Tracer]:
    """A tracer of its own, shut down at the end without waiting for a backend."""
    tracer = st.Tracer(*targets, spool=spool, **options)
    try:
        yield tracer
    finally:
        tracer.shutdown(timeout=0.1)


def steps(tracer: st.Tracer, count: int, start: int = 0, **inputs: Any) -> None:
    """One session with ``count`` steps, named by their numbers."""
    with tracer.session("a session"):
        for number in range(start, start + count):
            with tracer.span(f"step {number}", type="tool", inputs={"number": number, **inputs}):
                pass


def arrived(backend: Backend) -> list[dict[str, Any]]:
    """Every event that came in a request that was read whole, repetitions included."""
    return [event for body in backend.bodies("/v1/events/batch") for event in body["events"]]


def names(backend: Backend) -> set[str]:
    """The names of the events that arrived."""
    return {event["event_name"] for event in arrived(backend)}


def settled(tracer: st.Tracer, name: str = "honeyhive", timeout: float = 10.0) -> DeliveryStats:
    """Wait until nothing is pending at the destination; its books."""

    def books() -> DeliveryStats:
        return tracer.stats().destinations[name]

    eventually(lambda: not books().pending, timeout)
    return books()


def fail_some(status: Callable[[Seen], int]) -> Callable[[Seen], Any]:
    """A responder that answers with the status that ``status(request)`` gives."""
    return lambda request: answer(status(request))
