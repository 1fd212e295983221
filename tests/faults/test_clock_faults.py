"""Catalogue B, clocks: sleep and resume, steps of the wall clock, copies of a snapshot."""

from __future__ import annotations

import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.fake_backend import Backend, eventually
from support.subprocesses import environment
from support.tracers import arrived, hive, tracing

from sessiontrace.model import ids

HOUR_NS = 3_600_000_000_000


@pytest.fixture
def backend() -> Iterator[Backend]:
    with Backend() as server:
        yield server


class Clocks:
    """A wall clock and a monotonic clock that a test moves apart."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.step_ns = 0
        self.slept_ns = 0
        monkeypatch.setattr(ids, "_time_ns", lambda: time.time_ns() + self.step_ns)
        monkeypatch.setattr(ids, "_monotonic_ns", lambda: time.monotonic_ns() + self.slept_ns)


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clocks]:
    yield Clocks(monkeypatch)
    monkeypatch.undo()
    ids.checked_now()
    ids._restart()  # a real monotonic clock never goes back, as this one does now


def by_name(backend: Backend) -> dict[str, Any]:
    return {event["event_name"]: event for event in arrived(backend)}


@pytest.mark.parametrize("step_ns", [9 * HOUR_NS, -2 * HOUR_NS, 120_000_000, -120_000_000])
def test_B26_events_after_a_step_of_the_clock_carry_the_right_time(
    backend: Backend, tmp_path: Path, clocks: Clocks, step_ns: int
) -> None:
    """The machine sleeps, or its clock is set, while a span is open. The span lasts as long as it
    lasted, and what begins afterwards is at the new time, in the same session and in others.
    """
    with tracing(tmp_path / "spool", hive(backend)) as tracer:
        with tracer.session("before"):
            with tracer.span("across"):
                time.sleep(0.03)
                clocks.step_ns = step_ns
                with tracer.span("inside"):
                    time.sleep(0.03)
            with tracer.span("after"):
                time.sleep(0.002)
        with tracer.session("next"), tracer.span("in the next"):
            pass
        assert tracer.flush(10).complete
    events = by_name(backend)
    assert 59 < events["across"]["duration"] < 2_000
    assert 29 < events["inside"]["duration"] < 2_000
    now_ms = (time.time_ns() + step_ns) / 1_000_000
    for name in ("inside", "after", "in the next"):
        assert abs(events[name]["start_time"] - now_ms) < 10_000 or abs(step_ns) < HOUR_NS
        assert abs(events[name]["end_time"] - events[name]["start_time"]) < 2_000
    assert events["after"]["start_time"] - events["across"]["end_time"] == pytest.approx(
        step_ns / 1_000_000, abs=60
    )


def test_B26_a_clock_that_steps_all_the_time_changes_no_duration(clocks: Clocks) -> None:
    """Each of 160 open spans ends by the clock it began with, however many steps ago that was."""
    starts = []
    for number in range(20):
        for step in range(8):
            clocks.step_ns += (-1) ** step * (number + step + 1) * 100_000_000
            start, offset = ids.checked_now()
            starts.append((start, offset, time.monotonic_ns()))
    assert len({offset for _, offset, _ in starts}) > 100
    for start, offset, begun in starts:
        elapsed = time.monotonic_ns() - begun
        assert abs(ids.now_by(offset) - start - elapsed) < 5_000_000


def test_B26_a_small_difference_is_left_alone(clocks: Clocks) -> None:
    """NTP slews a clock by milliseconds: our clock stays one clock, and times stay in order."""
    before = ids.now_ns()
    clocks.step_ns = -20_000_000
    assert ids.checked_now()[0] > before
    ids.new_id()
    assert ids.now_ns() > before


def copied() -> dict[str, Any]:
    """The state of the module, as a snapshot of the machine holds it."""
    names = [name for name in vars(ids) if name.startswith("_") and not name.startswith("__")]
    state = {name: getattr(ids, name) for name in names}
    return {
        **state,
        "_tails": list(ids._tails),
        "generator": ids._random.getstate(),
    }


def restore(state: dict[str, Any]) -> None:
    for name, value in state.items():
        if name == "generator":
            ids._random.setstate(value)
        elif name not in ("_time_ns", "_monotonic_ns", "_tails"):
            setattr(ids, name, value)
    ids._tails[:] = state["_tails"]


@pytest.mark.parametrize("is_clock_set", [True, False])
def test_B27_two_copies_of_a_snapshot_make_different_ids(
    clocks: Clocks, is_clock_set: bool
) -> None:
    """A virtual machine or a Lambda function is snapshotted and restored twice. Its clocks go on
    where they stood, its random numbers too; where the host sets the clock at once, and where it
    does not, no two ids are equal.
    """
    ids.new_id()
    state = copied()
    at = time.monotonic_ns()
    copies = []
    for _ in range(2):
        restore(state)
        clocks.slept_ns = at - time.monotonic_ns() + 1_500_000_000  # both go on from one moment
        clocks.step_ns = HOUR_NS if is_clock_set else time.monotonic_ns() - time.time_ns()
        if not is_clock_set:
            clocks.step_ns = ids._offset_ns + clocks.slept_ns + time.monotonic_ns() - time.time_ns()
        copies.append({ids.new_id()[19:] for _ in range(2_000)})
    assert not copies[0] & copies[1]


SLEEPER = """
import sys, time
import sessiontrace as st
st.init(st.HoneyHive(api_key="k", base_url=sys.argv[1]), spool=sys.argv[2], exit_timeout=0)
with st.session("s"):
    with st.span("across"):
        print("ready", flush=True)
        sys.stdin.readline()
    with st.span("after"):
        begun = time.monotonic()
        while time.monotonic() - begun < 0.01: pass
"""


@pytest.mark.skipif(
    not list(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), reason="needs libfaketime"
)
def test_B26_the_system_clock_really_steps(backend: Backend, tmp_path: Path) -> None:
    """libfaketime sets a running program's wall clock nine hours ahead, as a resume does; its
    monotonic clock goes on. What it leaves in the spool is delivered without the library, whose
    timers do not end.
    """
    library = next(iter(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")))
    clock = tmp_path / "clock"
    clock.write_text("+0")
    environ = environment(
        tmp_path,
        LD_PRELOAD=str(library),
        FAKETIME_TIMESTAMP_FILE=str(clock),
        FAKETIME_NO_CACHE="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1",
        DONT_FAKE_MONOTONIC="1",
    )
    with subprocess.Popen(
        [sys.executable, "-c", SLEEPER, backend.url, str(tmp_path / "spool")],
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        later = tmp_path / "later"
        later.write_text("+9h")
        later.replace(clock)  # the library reads it at any moment, and never half of it
        program.communicate("go\n", timeout=30)
    with tracing(tmp_path / "spool", hive(backend, key="k")) as tracer:
        with tracer.session("later"):
            pass
        eventually(lambda: "after" in by_name(backend), 15)
    events = by_name(backend)
    ahead = events["after"]["start_time"] - time.time() * 1000
    assert ahead == pytest.approx(9 * 3_600_000, abs=30_000)
    assert 9 < events["after"]["duration"] < 5_000
    assert 0 < events["across"]["duration"] < 20_000
    assert uuid.UUID(events["after"]["event_id"]).int >> 80 == events["after"]["start_time"]
