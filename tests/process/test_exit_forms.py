"""Every way a program may end, on every Python that is here (B04)."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.fake_backend import Backend, answer, eventually
from support.subprocesses import python_of, run, start
from support.tracers import arrived, hive, names, steps, tracing

VERSIONS = ("3.10", "3.11", "3.12", "3.13", "3.14")

OPENING = """
import atexit, os, signal, sys, threading, time
import sessiontrace as st
st.init(st.HoneyHive(api_key="k", base_url=sys.argv[1]), spool=sys.argv[2], **OPTIONS)
with st.session("s"):
    for number in range(20):
        with st.span(f"step {number}"):
            pass
def kill(number):
    os.kill(os.getpid(), number)
    time.sleep(10)
"""

DELIVERING = {
    "end of main": ("pass", 0),
    "sys.exit": ("sys.exit(3)", 3),
    "an exception": ("raise ValueError('mine')", 1),
    "SIGINT": ("kill(signal.SIGINT)", 1),
    "SIGTERM with a handler": (
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(5)); kill(signal.SIGTERM)",
        5,
    ),
    "while other threads run": (
        "threading.Thread(target=time.sleep, args=(0.3,)).start()",
        0,
    ),
    "out of asyncio.run": (
        "import asyncio\nasync def main():\n    async with st.span('step x'): sys.exit(4)\n"
        "asyncio.run(main())",
        4,
    ),
}

LEAVING = {
    "SIGTERM": ("kill(signal.SIGTERM)", -signal.SIGTERM),
    "SIGHUP": ("kill(signal.SIGHUP)", -signal.SIGHUP),
    "SIGKILL": ("kill(signal.SIGKILL)", -signal.SIGKILL),
    "os._exit": ("os._exit(0)", 0),
    "os.abort": ("import faulthandler; faulthandler.disable(); os.abort()", -signal.SIGABRT),
}


@pytest.fixture
def backend() -> Iterator[Backend]:
    with Backend() as running:
        yield running


def program(ending: str, options: str = "{}") -> str:
    return OPENING.replace("OPTIONS", options) + "\n" + ending


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("form", DELIVERING)
def test_B04_an_exit_that_runs_hooks_delivers(
    backend: Backend, tmp_path: Path, form: str, version: str
) -> None:
    """The interpreter ends in one of the ways in which it runs its exit hooks: what was recorded
    is delivered before it is gone, its own exit code and message stay, and we print nothing.
    """
    ending, code = DELIVERING[form]
    if form == "SIGINT" and version == "3.14":
        code = -signal.SIGINT  # `-c`, too, ends by the signal from there on
    patient = "{'exit_timeout': 15}"  # the machine may be busy otherwise
    done = run(
        program(ending, patient), tmp_path, backend.url, str(tmp_path / "spool"), expect=code,
        python=python_of(version),
    )  # fmt: skip
    assert names(backend) >= {f"step {number}" for number in range(20)}
    assert "sessiontrace" not in done.stderr
    if form == "an exception":
        assert done.stderr.count("Traceback") == 1
        assert "ValueError: mine" in done.stderr
    elif form == "SIGINT":
        assert done.stderr.count("Traceback") == 1
    else:
        assert done.stderr == ""


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("form", LEAVING)
def test_B04_an_exit_without_hooks_leaves_all_to_the_next_run(
    backend: Backend, tmp_path: Path, form: str, version: str
) -> None:
    """The process is gone from one instruction to the next, no hook of anybody's runs. The next
    program with the same spool delivers what was recorded, whichever Python it runs on.
    """
    ending, code = LEAVING[form]
    backend.responder = lambda request: answer(503)
    run(
        program(ending), tmp_path, backend.url, str(tmp_path / "spool"), expect=code,
        python=python_of(version),
    )  # fmt: skip
    backend.responder = lambda request: answer()
    backend.requests.clear()
    with tracing(tmp_path / "spool", hive(backend, key="k")) as tracer:
        steps(tracer, 1)
        eventually(lambda: len(names(backend)) == 20)
    assert len(arrived(backend)) >= 20


@pytest.mark.parametrize("version", VERSIONS)
def test_B04_SIGTERM_flushes_where_that_was_asked_for(
    backend: Backend, tmp_path: Path, version: str
) -> None:
    """on_sigterm="flush": a container is stopped. What is pending is delivered within the exit's
    budget, and the process still dies of SIGTERM, as its supervisor expects.
    """
    done = run(
        program("kill(signal.SIGTERM)", "{'on_sigterm': 'flush', 'exit_timeout': 15}"),
        tmp_path, backend.url, str(tmp_path / "spool"), expect=-signal.SIGTERM,
        python=python_of(version),
    )  # fmt: skip
    assert names(backend) == {f"step {number}" for number in range(20)}
    assert done.stderr == ""


def test_B04_SIGTERM_flush_is_bounded_by_a_backend_that_hangs(
    backend: Backend, tmp_path: Path
) -> None:
    """The backend hangs: the supervisor's patience is not tried for longer than the budget."""
    backend.responder = lambda request: answer(delay=30)
    text = program("print(time.time(), flush=True); kill(signal.SIGTERM)",
                   "{'on_sigterm': 'flush', 'exit_timeout': 0.5}")  # fmt: skip
    import time

    with start(text, tmp_path, backend.url, str(tmp_path / "spool")) as process:
        out, err = process.communicate(timeout=20)
    assert time.time() - float(out) < 10, "the backend answers after 30 s"
    assert process.returncode == -signal.SIGTERM
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "before",
    [
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))",
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)",
    ],
)
def test_B04_a_handler_of_the_programs_own_is_left_alone(
    backend: Backend, tmp_path: Path, before: str
) -> None:
    """on_sigterm="flush" never takes a signal from a program that handles or ignores it."""
    text = program("", "{'on_sigterm': 'flush'}").replace("st.init(", f"{before}\nst.init(")
    text += "\nassert 'sessiontrace' not in getattr(signal.getsignal(15), '__module__', '')"
    run(text, tmp_path, backend.url, str(tmp_path / "spool"))


def test_B04_init_in_another_thread_takes_no_signal_and_does_not_fail(
    backend: Backend, tmp_path: Path
) -> None:
    """Python lets only the main thread set handlers."""
    text = """
    import signal, sys, threading
    import sessiontrace as st
    def work():
        st.init(st.HoneyHive(api_key="k", base_url=sys.argv[1]), spool=sys.argv[2],
                on_sigterm="flush")
        with st.span("step 0"):
            pass
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    """
    done = run(text, tmp_path, backend.url, str(tmp_path / "spool"))
    assert names(backend) == {"step 0"}
    assert "main thread" in done.stderr
