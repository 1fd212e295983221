"""Catalogue B: start, exit, restart, signals, clocks. Forks are in process/test_fork.py and the
forms of exit in process/test_exit_forms.py.
"""

from __future__ import annotations

import copy
import pickle
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.fake_backend import Backend, answer, eventually
from support.lane_harness import Run, event
from support.subprocesses import run, start
from support.tracers import arrived, hive, names, settled, steps, tracing

import sessiontrace as st
from sessiontrace.export.protocol import Reply
from sessiontrace.model import ids

WRITER = """
import sys, sessiontrace as st
st.init(st.HoneyHive(api_key="k", base_url=sys.argv[1]), spool=sys.argv[2])
with st.session("s"):
    for number in range(int(sys.argv[3])):
        with st.span(f"step {number}", inputs={"text": "x" * 200}):
            pass
import time
begun = time.monotonic()
"""

TIMED = """
import atexit, time
@atexit.register
def tell():  # registered last, so it runs first; the difference is told by the parent
    print(time.time(), flush=True)
"""


@pytest.fixture
def backend() -> Iterator[Backend]:
    with Backend() as running:
        yield running


def test_B01_a_program_that_just_ends_delivers_what_is_pending(
    backend: Backend, tmp_path: Path
) -> None:
    """A script records 1000 steps and falls off its end. Nobody called flush or shutdown, and the
    first batch was not even due: all of it arrives within the time that the exit may take.
    """
    patient = {"SESSIONTRACE_EXIT_TIMEOUT": "15"}  # the machine may be busy otherwise
    ended = run(WRITER, tmp_path, backend.url, str(tmp_path / "spool"), "1000", **patient)
    assert ended.stderr == ""
    assert names(backend) == {f"step {number}" for number in range(1000)}
    assert not list((tmp_path / "spool").glob("*/*.seg"))


@pytest.mark.parametrize("backends", ["refuses", "hangs", "answers 500"])
def test_B02_exit_takes_at_most_its_budget_and_the_next_run_delivers(
    backend: Backend, tmp_path: Path, backends: str
) -> None:
    """A program ends with 1000 events pending while its backend refuses, hangs or fails.

    The exit takes at most 2.2 seconds, one line says how many are left, and the next run, with the
    backend well again, delivers every one of them.
    """
    if backends == "refuses":
        backend.down()
    else:
        backend.responder = lambda request: (
            answer(500) if backends == "answers 500" else answer(delay=30)
        )
    took: list[float] = []
    while len(took) < 5 and min(took, default=3.0) > 2.2:  # the machine may be busy otherwise
        spool = tmp_path / f"spool {len(took)}"
        with start(WRITER + TIMED, tmp_path, backend.url, str(spool), "1000") as process:
            out, err = process.communicate(timeout=30)
            took.append(time.time() - float(out))
        assert process.returncode == 0
        assert "Traceback" not in err
    assert min(took) <= 2.2, f"the exits took {took} s"
    if backends == "refuses":
        backend.up()
    backend.responder = lambda request: answer()
    backend.requests.clear()
    with tracing(spool, hive(backend, key="k")) as tracer:
        steps(tracer, 1)
        eventually(lambda: len(names(backend)) >= 1000)
        tracer.flush(5)
    assert names(backend) >= {f"step {number}" for number in range(1000)}


def test_B03_a_program_without_events_gets_no_thread_and_no_file(tmp_path: Path) -> None:
    """Configured, imported, never used: no thread, no file, no import of what delivery needs."""
    program = """
    import sys, threading, sessiontrace as st
    st.init(st.HoneyHive(api_key="k", base_url="http://127.0.0.1:9"), spool=sys.argv[1])
    print(threading.active_count(), sorted({"aiohttp", "sqlite3"} & set(sys.modules)))
    """
    ended = run(program, tmp_path, str(tmp_path / "spool"))
    assert (ended.stdout, ended.stderr) == ("1 []\n", "")
    assert not (tmp_path / "spool").exists()


def test_B05_an_event_inside_atexit_or_a_finaliser_is_taken_or_counted(
    backend: Backend, tmp_path: Path
) -> None:
    """Libraries trace their own shutdown: in atexit hooks that run before and after ours, and in
    `__del__` while modules are torn down. No traceback; those before our hook are delivered, and
    those after it are counted as closed.
    """
    program = """
    import atexit, sys
    import sessiontrace as st
    @atexit.register
    def late():
        with st.span("late"):
            pass
        print(st.stats().dropped)
    st.init(st.HoneyHive(api_key="k", base_url=sys.argv[1]), spool=sys.argv[2])
    with st.span("first"):
        pass
    @atexit.register
    def early():
        with st.span("early"):
            pass
    class Dying:
        def __del__(self):
            with st.span("in a finaliser"):
                pass
    sys.modules["kept"] = Dying()
    """
    ended = run(program, tmp_path, backend.url, str(tmp_path / "spool"))
    assert names(backend) == {"first", "early"}
    assert "'closed': 3" in ended.stdout, "start, event and end of the implicit session"
    assert ended.stderr == ""


def test_B06_shutdown_may_be_called_by_anyone_any_number_of_times(
    backend: Backend, tmp_path: Path
) -> None:
    """Twice in a row, from eight threads at once, and by our own thread through a callback: each
    call returns, bounded, with the same books, and everything was delivered once.
    """
    with tracing(tmp_path / "spool", hive(backend)) as tracer:
        steps(tracer, 50)
        reports: list[st.Report] = []
        callers = [
            threading.Thread(target=lambda: reports.append(tracer.shutdown(5))) for _ in range(8)
        ]
        begun = time.monotonic()
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        reports.append(tracer.shutdown(5))
        assert time.monotonic() - begun < 20
    assert len(arrived(backend)) == 50
    assert all(report.stats.destinations["honeyhive"].acked == 52 for report in reports[-1:])
    assert len(reports) == 9


def test_B06_shutdown_from_the_keepers_own_thread_returns(backend: Backend, tmp_path: Path) -> None:
    """A logging handler of the user's shuts everything down from within our own thread: it must
    not wait for itself.
    """
    with tracing(tmp_path / "spool", hive(backend)) as tracer:
        steps(tracer, 3)
        assert tracer._generation is not None
        done: list[object] = []
        tracer._generation.pipeline.worker.submit(lambda: tracer.shutdown(1), done.append)
        eventually(lambda: done)
    assert isinstance(done[0], st.Report)


def test_B07_after_shutdown_spans_work_and_are_counted(backend: Backend, tmp_path: Path) -> None:
    """The application goes on after our shutdown: its code runs as ever, and the books say how
    many records came too late.
    """
    with tracing(tmp_path / "spool", hive(backend)) as tracer:
        steps(tracer, 2)
        tracer.shutdown(5)
        with tracer.span("late") as span:
            span.set(outputs={"x": 1})
        assert tracer.stats().dropped == {"closed": 3}
        assert tracer.flush(1).complete
    assert names(backend) == {"step 0", "step 1"}


def test_B08_init_after_shutdown_starts_anew(backend: Backend, tmp_path: Path) -> None:
    """Tests and notebooks shut down and initialise again: new spool, new threads, new books."""
    tracer = st.Tracer(hive(backend), spool=tmp_path / "spool")
    for life in range(3):
        if life:
            tracer.configure((hive(backend),), {"spool": tmp_path / "spool"})
        steps(tracer, 5, start=5 * life)
        assert tracer.shutdown(5).complete
        assert tracer.stats().accepted == 7
    assert names(backend) == {f"step {number}" for number in range(15)}
    assert len(arrived(backend)) == 15


def test_B13_a_program_we_start_inherits_no_descriptor(backend: Backend, tmp_path: Path) -> None:
    """The application runs other programs with close_fds=False: none of our files and sockets is
    open in them.
    """
    if sys.platform != "linux":
        pytest.skip("reads /proc")
    program = """
    import os, subprocess, sys, sessiontrace as st
    st.init(st.HoneyHive(api_key="k", base_url=sys.argv[1]), spool=sys.argv[2])
    with st.span("one"):
        pass
    st.flush()
    with st.span("two"):
        pass
    ours = {os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd")
            if os.path.exists(f"/proc/self/fd/{n}")}
    assert any("/spool/" in path for path in ours) and any("socket" in path for path in ours)
    code = "import os; print([os.readlink('/proc/self/fd/' + n) for n in '3456789'" \\
           " if os.path.lexists('/proc/self/fd/' + n)])"
    print(subprocess.run([sys.executable, "-S", "-c", code], close_fds=False,
                         capture_output=True, text=True, check=True).stdout)
    """
    ended = run(program, tmp_path, backend.url, str(tmp_path / "spool"))
    assert "spool" not in ended.stdout
    assert "socket" not in ended.stdout
    assert "eventpoll" not in ended.stdout


@pytest.mark.asyncio
async def test_B16_an_hour_of_sleep_is_followed_by_one_try_and_no_burst() -> None:
    """A laptop is closed in the middle of a backoff and opened an hour later. One request goes out
    to see how things stand, not one for each that was missed.
    """
    up = False
    run_ = Run(lambda request: Reply(200 if up else 503), [event(n) for n in range(20)])
    await run_.until(lambda: run_.stats.retries == 4)
    run_.clock.time += 3600
    up = True
    await run_.until(lambda: run_.done)
    assert len(run_.sent) == 5
    await run_.end()


def test_B16_a_stopped_process_goes_on_where_it_was(backend: Backend, tmp_path: Path) -> None:
    """SIGSTOP in the middle of everything, then SIGCONT: all arrives, each once."""
    program = WRITER + "\nprint('made', flush=True); time.sleep(0.5)\n"
    backend.latency = 0.02
    with start(program, tmp_path, backend.url, str(tmp_path / "spool"), "300") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGSTOP)
        time.sleep(0.05)
        process.send_signal(signal.SIGCONT)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert len(arrived(backend)) == len(names(backend)) == 300


@pytest.mark.parametrize("days", [-1, 1])
def test_B17_a_step_of_the_wall_clock_changes_no_duration(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    """NTP, or a virtual machine that was paused, moves the clock by a day while a step runs."""
    with tracing(tmp_path / "spool", hive(backend)) as tracer:
        with tracer.span("over the step"):
            real, real_s = time.time_ns, time.time
            monkeypatch.setattr(time, "time_ns", lambda: real() + days * 86_400_000_000_000)
            monkeypatch.setattr(time, "time", lambda: real_s() + days * 86_400)
            before = ids.now_ns()
        tracer.flush(5)
        assert settled(tracer).acked == 3
    (found,) = arrived(backend)
    assert 0 <= found["duration"] < 5_000
    assert 0 <= found["end_time"] - found["start_time"] < 5_000
    assert abs(found["end_time"] - before // 1_000_000) < 5_000


def test_B19_a_tracer_or_span_is_pickled_without_its_keys(backend: Backend, tmp_path: Path) -> None:
    """Ray and cloudpickle copy whatever a function closes over: never a lock that stays taken, and
    never a key in the bytes. A destination, which is nothing but its key, says so at once.
    """
    with tracing(tmp_path / "spool", hive(backend)) as tracer:
        with tracer.session("s") as session, tracer.span("one") as span:
            for one in (tracer, session, span):
                assert copy.deepcopy(one) is one
                assert b"hh_a_key_of_tests" not in pickle.dumps(one)
        with pytest.raises(TypeError, match="cannot be pickled"):
            pickle.dumps(hive(backend))
        assert tracer.flush(5).complete
    assert names(backend) == {"one"}


def test_B20_a_second_ctrl_c_ends_the_exit_at_once(backend: Backend, tmp_path: Path) -> None:
    """The backend hangs, the exit waits for it up to its budget, and the user has no patience:
    Ctrl-C again ends the program now. The spool keeps the rest.
    """
    backend.responder = lambda request: answer(delay=30)
    program = WRITER.replace("spool=sys.argv[2]", "spool=sys.argv[2], exit_timeout=20") + TIMED
    with start(program, tmp_path, backend.url, str(tmp_path / "spool"), "50") as process:
        assert process.stdout is not None
        begun = float(process.stdout.readline())
        eventually(lambda: backend.requests)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=15)
    assert time.time() - begun < 15
    assert list((tmp_path / "spool").glob("*/*.seg"))


def test_B08_what_a_shut_down_tracer_had_adopted_is_free_for_the_next(
    backend: Backend, tmp_path: Path
) -> None:
    """A notebook adopts what a killed run left, cannot deliver it, and is shut down and configured
    anew in the same process: the second tracer adopts it again and delivers.
    """
    spool = tmp_path / "spool"
    backend.responder = lambda request: answer(503)
    left = WRITER + "\nimport os; os._exit(0)"
    run(left, tmp_path, backend.url, str(spool), "20")
    with tracing(spool, hive(backend, key="k")) as first:
        steps(first, 1, start=100)
        eventually(lambda: first.stats().destinations["honeyhive"].adopted_pending == 22)
    backend.responder = lambda request: answer()
    backend.requests.clear()
    with tracing(spool, hive(backend, key="k")) as second:
        steps(second, 1, start=200)
        eventually(lambda: len(names(backend)) == 22)
    assert names(backend) >= {f"step {number}" for number in (*range(20), 100, 200)}
