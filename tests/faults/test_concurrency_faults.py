"""Catalogue E: the API under threads, signals, callbacks and volume, on whole tracers."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import logging
import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from support.fake_backend import Backend, answer, eventually
from support.subprocesses import run
from support.tracers import arrived, hive, names, settled, steps, tracing

import sessiontrace as st
from sessiontrace.runtime import log


@pytest.fixture(autouse=True)
def _told_nothing_yet() -> None:
    log.reset()


@pytest.fixture
def backend() -> Iterator[Backend]:
    with Backend() as running:
        yield running


def used(root: Path) -> int:
    """Bytes of all segments, while others come and go."""
    total = 0
    for path in root.rglob("*.seg"):
        with contextlib.suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


def test_E07_under_overload_the_books_balance_to_the_record(tmp_path: Path) -> None:
    """Four threads record as fast as they can, the backend is down and the quota is small. Memory
    and disk stay within their bounds, and every record is pending or counted as evicted.
    """
    with Backend() as gone:
        gone.down()
        with tracing(tmp_path / "spool", hive(gone), spool_quota=4 << 20) as tracer:
            offered = 0
            until = time.monotonic() + 1.5

            def record() -> None:
                nonlocal offered
                mine = 0
                while time.monotonic() < until:
                    steps(tracer, 50, text="x" * 1000)
                    mine += 52
                with lock:
                    offered += mine

            lock = threading.Lock()
            workers = [threading.Thread(target=record) for _ in range(4)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
            assert tracer._generation is not None
            # The active segment and its spare come on top of the quota.
            eventually(lambda: used(tmp_path / "spool") <= (4 << 20) + (3 << 20))
            stats = tracer.stats()
            books = stats.destinations["honeyhive"]
            assert stats.offered == offered == stats.accepted
            assert books.evicted > 0
            assert books.evicted + books.pending == offered


def test_E08_events_from_finalisers_signals_and_log_handlers_never_deadlock(
    backend: Backend, tmp_path: Path
) -> None:
    """A garbage collection, a signal or a log line may come in the middle of our own append, in
    our own threads too, and each records an event. All are taken, none waits for another.
    """

    class Node:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            with tracer.span("from a finaliser"):
                pass

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            with tracer.span("from a log handler"):
                pass

    def on_signal(number: int, frame: object) -> None:
        with tracer.span("from a signal"):
            pass

    failing = iter(range(4))
    backend.responder = lambda request: answer(503 if next(failing, None) is not None else 200)
    handler = Handler()
    logging.getLogger("sessiontrace").addHandler(handler)
    old = signal.signal(signal.SIGVTALRM, on_signal)
    threshold = gc.get_threshold()
    try:
        with tracing(tmp_path / "spool", hive(backend)) as tracer:
            gc.set_threshold(20)
            signal.setitimer(signal.ITIMER_VIRTUAL, 0.002, 0.002)
            for number in range(400):
                Node()
                with tracer.span(f"step {number}"):
                    log.log_once(f"noise {number}", "something happened")
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            gc.set_threshold(*threshold)
            gc.collect()
            tracer.flush(10)
            settled(tracer)
            stats = tracer.stats()
            assert stats.dropped == {}
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, old)
        gc.set_threshold(*threshold)
        logging.getLogger("sessiontrace").removeHandler(handler)
    found = [event["event_name"] for event in arrived(backend)]
    assert found.count("from a finaliser") == 400
    assert found.count("from a log handler") >= 400
    assert "from a signal" in found
    assert {f"step {number}" for number in range(400)} <= set(found)


def test_E09_a_flush_means_everything_before_it_whoever_asks(
    backend: Backend, tmp_path: Path
) -> None:
    """Ten threads flush at once while others go on recording: each report is complete, and what
    was recorded before the call is at the backend when the call returns.
    """
    backend.latency = 0.01
    with tracing(tmp_path / "spool", hive(backend)) as tracer:
        stop = threading.Event()

        def noise() -> None:
            while not stop.wait(0.001):
                with tracer.span("noise"):
                    pass

        noisy = threading.Thread(target=noise)
        noisy.start()
        missing: list[str] = []

        def flush(number: int) -> None:
            with tracer.span(f"mine {number}"):
                pass
            if not tracer.flush(10) or f"mine {number}" not in names(backend):
                missing.append(f"mine {number}")

        callers = [threading.Thread(target=flush, args=(n,)) for n in range(10)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        stop.set()
        noisy.join()
        assert missing == []


def test_E09_a_flush_is_bounded_even_with_no_time_at_all(backend: Backend, tmp_path: Path) -> None:
    """The backend hangs: a flush with timeout 0, and one with 0.2, return in that time and say
    that they are not complete; shutdown during a flush leaves neither waiting.
    """
    backend.responder = lambda request: answer(delay=30)
    with tracing(tmp_path / "spool", hive(backend)) as tracer:
        steps(tracer, 5)
        begun = time.monotonic()
        assert not tracer.flush(0)
        assert not tracer.flush(0.2)
        assert time.monotonic() - begun < 10
        outcome: list[bool] = []
        waiting = threading.Thread(target=lambda: outcome.append(bool(tracer.flush(20))))
        waiting.start()
        tracer.shutdown(0.1)
        waiting.join(5)
        assert outcome == [False]


@pytest.mark.asyncio
async def test_E09_aflush_leaves_the_loop_free(backend: Backend, tmp_path: Path) -> None:
    """While aflush waits for a slow backend the application's other tasks run on."""
    backend.latency = 0.2
    with tracing(tmp_path / "spool", hive(backend)) as tracer:
        steps(tracer, 5)
        beats = 0

        async def heart() -> None:
            nonlocal beats
            while True:
                await asyncio.sleep(0.005)
                beats += 1

        beating = asyncio.create_task(heart())
        reports = await asyncio.gather(*(tracer.aflush(10) for _ in range(3)))
        beating.cancel()
        assert all(reports)
        assert beats > 10


def test_E10_sessions_come_and_go_and_nothing_stays(backend: Backend, tmp_path: Path) -> None:
    """Tens of thousands of sessions, some never ended, some handles dropped in the middle: memory,
    descriptors and threads are after the second half what they were after the first.
    """
    me = psutil.Process()
    with tracing(tmp_path / "spool", hive(backend)) as tracer:

        def life(count: int) -> tuple[int, int, int]:
            for number in range(count):
                with tracer.session("s"), tracer.span("one"):
                    tracer.span("never entered")
                if number % 100 == 0:
                    tracer.span("never left").__enter__()
                    tracer._current.set(None)
                    backend.requests.clear()
            tracer.flush(20)
            backend.requests.clear()
            gc.collect()
            return me.memory_info().rss, me.num_fds(), me.num_threads()

        life(2000)
        rss, fds, threads = life(3000)
        after = life(3000)
        assert after[0] < rss * 1.1 + (2 << 20)
        assert after[1] <= fds + 2
        assert after[2] == threads


def test_E10_a_span_that_is_never_ended_is_freed(backend: Backend, tmp_path: Path) -> None:
    """Handles that are dropped without leaving their block are collected like any object."""
    with tracing(tmp_path / "spool", hive(backend)) as tracer:
        span = tracer.span("dropped")
        span.__enter__()
        tracer._current.set(None)
        gone = weakref.ref(span)
        del span
        gc.collect()
        assert gone() is None


def test_E11_switched_off_it_does_nothing_and_costs_one_object(tmp_path: Path) -> None:
    """enabled=False: the same no-op object each time, no thread, no file."""
    tracer = st.Tracer(enabled=False, spool=tmp_path / "spool")
    before = threading.active_count()
    assert tracer.span("a") is tracer.span("b")
    with tracer.session("s"), tracer.span("x") as span:
        span.set(outputs={"a": 1})
    assert threading.active_count() == before
    assert not (tmp_path / "spool").exists()
    assert tracer.flush(1).stats.accepted == 0


def test_E11_import_starts_nothing_and_loads_nothing_heavy(tmp_path: Path) -> None:
    """What `import sessiontrace` costs a program that never uses it."""
    program = """
    import sys, threading
    before = set(sys.modules)
    import sessiontrace
    heavy = {"aiohttp", "sqlite3", "anyio", "platformdirs", "asyncio", "ssl"}
    print(threading.active_count(), sorted(heavy & (set(sys.modules) - before)))
    """
    assert run(program, tmp_path).stdout.split(" ", 1)[0] == "1"
    for name in ("aiohttp", "sqlite3", "anyio", "platformdirs"):
        assert name not in run(program, tmp_path).stdout


def test_E12_a_wrong_configuration_is_told_whole_and_changes_nothing(tmp_path: Path) -> None:
    """Four mistakes in one init: one error names them all, with what to do, without the key."""
    with pytest.raises(st.ConfigError) as caught:
        st.Tracer(
            st.HoneyHive(api_key="a key", base_url="ftp://x"),
            "nowhere",
            exit_timeout=-1,
            durability="perhaps",
        )
    text = str(caught.value)
    for part in ("key", "https://", "nowhere", "exit_timeout", "durability"):
        assert part in text
    assert "a key" not in text
    ended = run(
        "import sessiontrace as st\nwith st.span('x') as s:\n    s.set(outputs={})\nprint('on')",
        tmp_path, SESSIONTRACE_DESTINATIONS="nowhere", SESSIONTRACE_EXIT_TIMEOUT="soon",
    )  # fmt: skip
    assert ended.stdout == "on\n"
    assert "nowhere" in ended.stderr
    assert "exit_timeout" in ended.stderr
    assert "Traceback" not in ended.stderr


# -- the directory: one warning, memory, and nothing crashes ------------------------------------

USER = """
import sys, time
import sessiontrace as st
st.init(st.HoneyHive(api_key="k", base_url=sys.argv[1]))
with st.session("s"):
    for number in range(2000):
        with st.span("step", inputs={"text": "x" * 1000}):
            pass
report = st.flush(20)
print(report.complete, report.stats.spool_mode, report.stats.dropped, flush=True)
"""


@pytest.mark.parametrize("place", ["read-only", "foreign", "symlink", "no home", "full"])
def test_A09_without_a_usable_directory_a_program_warns_once_and_delivers_from_memory(
    backend: Backend, tmp_path: Path, place: str
) -> None:
    """The state directory is read-only, another user's, a planted link; there is no home; or the
    disk is full from the first byte. One clear warning, no exception, no SIGBUS, and everything
    is delivered from memory.
    """
    home = tmp_path / "home"
    home.mkdir()
    root = home / "spool"
    program, env = USER, {"SESSIONTRACE_SPOOL": str(root)}
    if place == "read-only":
        # Root may write anywhere, so a file stands where the directory's parent should be.
        (home / "file").write_text("")
        env["SESSIONTRACE_SPOOL"] = str(home / "file" / "spool")
        if os.geteuid():
            home.chmod(0o500)
    elif place == "foreign":
        program = (
            "import os\nfrom sessiontrace.spool.filesystem import Files\n"
            "Files.owned = lambda self, found: found.st_uid == os.geteuid() + 1\n"
        ) + USER
    elif place == "symlink":
        (home / "elsewhere").mkdir(mode=0o700)
        root.symlink_to(home / "elsewhere")
    elif place == "no home":
        env = {"HOME": "/nonexistent/home" if os.geteuid() else "/dev/null/home"}
    else:
        program = (
            "import resource, signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))\n"
        ) + USER
    ended = run(program, home, backend.url, **env)
    home.chmod(0o700)
    assert ended.stdout == "True memory {}\n"
    assert len(names(backend)) == 1
    assert len({event["event_id"] for event in arrived(backend)}) == 2000
    assert ended.stderr.count("\n") == 1, ended.stderr
    assert "memory" in ended.stderr
    if place == "symlink":
        assert list((home / "elsewhere").iterdir()) == []


def test_E09_stats_and_flush_account_for_every_record(backend: Backend, tmp_path: Path) -> None:
    """Delivered, refused, too late: whatever became of a record, the two laws hold at the end."""

    def respond(request: object) -> object:
        return answer(400 if b'"bad"' in request.body else 200)  # type: ignore[attr-defined]

    backend.responder = respond  # type: ignore[assignment]
    with tracing(tmp_path / "spool", hive(backend)) as tracer:
        with tracer.session("s"):
            for number in range(40):
                with tracer.span("bad" if number == 7 else "good"):
                    pass
        settled(tracer)
        report = tracer.shutdown(5)
        for _ in range(5):
            with tracer.span("too late"):
                pass
        stats = tracer.stats()
    assert report.complete
    assert stats.offered == stats.accepted + sum(stats.dropped.values()) == 42 + 15
    for books in stats.destinations.values():
        assert stats.accepted == books.acked + books.rejected + books.evicted + books.pending
        assert books.rejected == 1


def test_one_line_when_trouble_starts_and_one_when_it_ends(
    backend: Backend, tmp_path: Path, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A backend is down for many tries and comes back. The log has one warning and one line that
    it is over: no traceback, no line for each try.
    """
    from sessiontrace.export import sender

    quick = functools.partial(sender.Backoff, initial_s=0.02)
    monkeypatch.setattr(sender, "Backoff", quick)
    caplog.set_level("INFO", logger="sessiontrace")
    down = True
    backend.responder = lambda request: answer(503 if down else 200)
    with tracing(tmp_path / "spool", hive(backend)) as tracer:
        steps(tracer, 10)
        eventually(lambda: tracer.stats().destinations["honeyhive"].retries >= 5)
        down = False
        settled(tracer)
        eventually(lambda: len(caplog.records) >= 2)
    told = [(record.levelname, record.message) for record in caplog.records]
    assert [level for level, _ in told] == ["WARNING", "INFO"], told
    assert "HTTP 503" in told[0][1]
    assert "again" in told[1][1]
    assert sys.exc_info() == (None, None, None)
