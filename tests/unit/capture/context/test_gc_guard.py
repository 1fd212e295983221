"""The guard of context variables during collections, before Python 3.12."""

from __future__ import annotations

import dis
import gc
import signal
import time
from types import FrameType

import pytest
from support.patience import patience
from support.recording_tracer import Captured
from support.signal_checks import HandlerError, raise_at

from sessiontrace.capture.context import gc_guard

pytestmark = pytest.mark.skipif(not gc_guard.NEEDED, reason="needed before 3.12 only")


def test_B28_no_handler_raises_in_a_callback_of_a_collection() -> None:
    """Python ignores what a callback of a collection raises, so an exception of a signal handler
    would be lost there. There is no place in ours where a handler runs.
    """
    captured = Captured()
    gc_guard.guard(captured)
    callbacks = [callback for callback in gc.callbacks if callback.__module__ == gc_guard.__name__]
    assert len(callbacks) >= 2
    for callback in callbacks:
        for phase in ("start", "stop"):
            assert not raise_at(0, lambda call=callback, phase=phase: call(phase, {}))
        names = {step.opname for step in dis.get_instructions(callback)}
        assert not any(name.startswith(("CALL", "JUMP_BACKWARD", "FOR_ITER")) for name in names)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs setitimer")
def test_B28_a_handler_that_raises_during_collections_is_heard() -> None:
    """A timer fires 100 times while the collector runs almost without a pause."""
    captured = Captured()
    gc_guard.guard(captured)

    def handler(number: int, frame: FrameType | None) -> None:
        raise HandlerError

    lost = 0
    before = signal.signal(signal.SIGALRM, handler)
    others = [c for c in gc.callbacks if c.__module__ != gc_guard.__name__]
    gc.callbacks[:] = [c for c in gc.callbacks if c not in others]
    try:
        for _ in range(100):
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.000_2)
                end = time.monotonic() + patience(5)
                while time.monotonic() < end:
                    gc.collect(0)
                lost += 1
            except HandlerError:
                pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        gc.callbacks.extend(others)
    assert lost == 0
    assert captured.recorder.current is captured.current
    with captured.span("after") as span:
        assert captured.current.get() is span


def test_the_guard_goes_with_its_tracer() -> None:
    """A tracer that is collected leaves no callback behind."""
    gc_guard.guard(Owner())
    before = list(gc.callbacks)
    owner = Owner()
    gc_guard.guard(owner)
    gc_guard.guard(owner)
    (own,) = (callback for callback in gc.callbacks if callback not in before)
    del owner
    gc.collect()
    assert own not in gc.callbacks


class Owner:
    """A tracer: its recorder does not refer to it."""

    def __init__(self) -> None:
        self.recorder = Captured().recorder
