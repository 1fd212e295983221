"""Fork in all its forms, on every Python that is here (B09-B12)."""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.fake_backend import Backend, answer, eventually
from support.subprocesses import environment, python_of, run
from support.tracers import arrived, names

VERSIONS = ("3.10", "3.11", "3.12", "3.13", "3.14")

OPENING = """
import gc, os, sys, threading, time, warnings
warnings.filterwarnings("ignore", message=".*multi-threaded, use of fork.*")
import sessiontrace as st
st.init(st.HoneyHive(api_key="k", base_url=sys.argv[1]), spool=sys.argv[2])
def record(name, count=1):
    for number in range(count):
        with st.span(f"{name} {number}"):
            pass
def ended(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
"""


@pytest.fixture
def backend() -> Iterator[Backend]:
    with Backend() as running:
        yield running


def once(backend: Backend, *expected: str) -> None:
    """Exactly these events arrived, each once."""
    assert Counter(event["event_name"] for event in arrived(backend)) == Counter(expected)


def numbered(name: str, count: int) -> list[str]:
    return [f"{name} {number}" for number in range(count)]


@pytest.mark.parametrize("version", VERSIONS)
def test_B09_a_fork_during_a_flush_leaves_each_its_own(
    backend: Backend, tmp_path: Path, version: str
) -> None:
    """The parent forks while its batch is on the wire. The parent's events are sent by the parent,
    once, over its own connection; the child's by the child; neither hangs, and the parent goes on
    afterwards with the event loop that the child left alone.
    """
    backend.latency = 0.1
    text = (
        OPENING
        + """
record("parent", 20)
flushing = threading.Thread(target=st.flush)
flushing.start()
time.sleep(0.05)
if (child := os.fork()) == 0:
    gc.collect()
    record("child", 5)
    assert st.flush(10), st.stats()
    gc.collect()
    st.shutdown()
    os._exit(0)
assert ended(child) == 0
flushing.join()
record("after", 5)
assert st.flush(10), st.stats()
"""
    )
    done = run(text, tmp_path, backend.url, str(tmp_path / "spool"), python=python_of(version))
    once(backend, *numbered("parent", 20), *numbered("child", 5), *numbered("after", 5))
    assert done.stderr == ""
    assert not list((tmp_path / "spool").glob("*/*.seg"))


@pytest.mark.parametrize("version", VERSIONS)
def test_B10_forks_at_bad_moments_and_forks_of_forks(
    backend: Backend, tmp_path: Path, version: str
) -> None:
    """Other threads record, roll segments and flush without pause while the main thread forks, and
    the child forks again. Each generation's events arrive once, and nobody waits for a lock whose
    holder stayed in the parent.
    """
    text = (
        OPENING
        + """
stop = threading.Event()
def work():
    while not stop.is_set():
        with st.span("noise", inputs={"text": "x" * 20_000}):
            pass
        if st.stats().destinations["honeyhive"].pending > 300:
            time.sleep(0.001)  # without a bound the last flush has as much to send as load allows
def flush():
    while not stop.is_set():
        st.flush(1)
threads = [threading.Thread(target=one) for one in (work, work, flush)]
for thread in threads:
    thread.start()
for life in range(8):
    time.sleep(0.01)
    if (child := os.fork()) == 0:
        record(f"child {life}")
        if life % 2 and (grandchild := os.fork()) == 0:
            record(f"grandchild {life}")
            os._exit(0 if st.flush(15) else 9)
        elif life % 2:
            assert ended(grandchild) == 0
        os._exit(0 if st.flush(15) else 8)
    assert ended(child) == 0, life
stop.set()
for thread in threads:
    thread.join()
if (child := os.fork()) == 0:
    os.execv(sys.executable, [sys.executable, "-c", "pass"])
assert ended(child) == 0
assert st.flush(20), st.stats()
"""
    )
    run(text, tmp_path, backend.url, str(tmp_path / "spool"), python=python_of(version), limit=45)
    found = Counter(e["event_name"] for e in arrived(backend) if e["event_name"] != "noise")
    expected = [f"child {n} 0" for n in range(8)] + [f"grandchild {n} 0" for n in range(1, 8, 2)]
    assert found == Counter(expected)
    ids = Counter(event["event_id"] for event in arrived(backend))
    assert max(ids.values()) == 1


def test_B11_a_child_that_collects_garbage_does_not_break_the_parents_tls(
    tmp_path: Path,
) -> None:
    """The child's garbage collector meets the parent's TLS session. A close_notify from there
    would end the parent's connection, and an unregistered descriptor its event loop.
    """
    try:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
             "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
             "-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")],
            check=True, capture_output=True, timeout=30,
        )  # fmt: skip
    except FileNotFoundError:
        pytest.skip("the openssl program is not there to make a certificate")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    text = (
        OPENING
        + """
record("before")
assert st.flush(10), st.stats()
if (child := os.fork()) == 0:
    for _ in range(3):
        gc.collect()
    record("child")
    assert st.flush(10)
    gc.collect()
    os._exit(0)  # the watchdog of the tests would be waited for in a child that exits
assert ended(child) == 0
record("after")
assert st.flush(10), st.stats()
print(st.stats().destinations["honeyhive"].retries)
"""
    )
    with Backend(tls=context) as backend:
        done = run(
            text, tmp_path, backend.url, str(tmp_path / "spool"),
            SSL_CERT_FILE=str(tmp_path / "cert.pem"),
        )  # fmt: skip
        once(backend, "before 0", "child 0", "after 0")
        parents = {
            request.connection
            for request in backend.requests
            if b"before" in request.body or b"after" in request.body
        }
    assert done.stdout == "0\n"
    assert len(parents) == 1, "the parent kept its connection"


POOL = """
import multiprocessing, sys, warnings
from concurrent.futures import ProcessPoolExecutor
warnings.filterwarnings("ignore", message=".*multi-threaded, use of fork.*")
import sessiontrace as st

def configure(url, spool):
    st.init(st.HoneyHive(api_key="k", base_url=url), spool=spool)

def work(number):
    with st.span(f"work {number}"):
        return number * number

if __name__ == "__main__":
    url, spool, method, kind = sys.argv[1:]
    configure(url, spool)
    if method != "fork clean":
        with st.span("parent"):
            pass
    context = multiprocessing.get_context(method.split()[0])
    if kind == "pool":
        with context.Pool(2, configure, (url, spool)) as pool:
            assert pool.map(work, range(10)) == [n * n for n in range(10)]
            pool.close()
            pool.join()
    elif kind == "executor":
        with ProcessPoolExecutor(
            2, mp_context=context, initializer=configure, initargs=(url, spool)
        ) as pool:
            assert list(pool.map(work, range(10))) == [n * n for n in range(10)]
    else:
        workers = [context.Process(target=work, args=(n,)) for n in range(10)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(20)
            assert worker.exitcode == 0
"""


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", ["pool", "executor"])
@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_B12_pools_of_processes_deliver(
    backend: Backend, tmp_path: Path, method: str, kind: str, version: str
) -> None:
    """multiprocessing's pools and executors, however they make their workers. Workers leave by
    os._exit, where no atexit hook runs: what they recorded arrives all the same, from them or
    from the next program.
    """
    script = tmp_path / "program.py"
    script.write_text(POOL)
    subprocess.run(
        [python_of(version), "-W", "error", str(script), backend.url, str(tmp_path / "spool"),
         method, kind],
        env=environment(tmp_path), check=True, timeout=40,
    )  # fmt: skip
    adopt(backend, tmp_path, {"parent", *(f"work {n}" for n in range(10))})


def adopt(backend: Backend, tmp_path: Path, expected: set[str]) -> None:
    """A next program runs, and in the end all of these have arrived."""
    if not names(backend) >= expected:
        from support.tracers import hive, steps, tracing

        with tracing(tmp_path / "spool", hive(backend, key="k")) as tracer:
            steps(tracer, 1)
            eventually(lambda: names(backend) >= expected)
    ids = Counter(event["event_id"] for event in arrived(backend))
    assert len(ids) >= len(expected)


@pytest.mark.parametrize("version", VERSIONS)
def test_B12_processes_that_inherit_a_used_tracer_need_no_init(
    backend: Backend, tmp_path: Path, version: str
) -> None:
    """multiprocessing.Process by fork: the child uses what the parent configured."""
    script = tmp_path / "program.py"
    script.write_text(POOL)
    subprocess.run(
        [python_of(version), "-W", "error", str(script), backend.url, str(tmp_path / "spool"),
         "fork", "processes"],
        env=environment(tmp_path), check=True, timeout=40,
    )  # fmt: skip
    adopt(backend, tmp_path, {"parent", *(f"work {n}" for n in range(10))})


@pytest.mark.parametrize("version", ["3.12", "3.13"])
def test_B12_a_fork_before_the_first_event_meets_no_thread_of_ours(
    backend: Backend, tmp_path: Path, version: str
) -> None:
    """Python 3.12 warns of forks in a process with threads. Configured and not used, we have none:
    with warnings as errors the fork passes.
    """
    text = """
    import os, sys
    import sessiontrace as st
    st.init(st.HoneyHive(api_key="k", base_url=sys.argv[1]), spool=sys.argv[2])
    # the watchdog of the test's own harness is a C thread, which Python does not count
    if (child := os.fork()) == 0:
        with st.span("child"):
            pass
        os._exit(0 if st.flush(10) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with st.span("parent"):
        pass
    """
    text = "import faulthandler; faulthandler.cancel_dump_traceback_later()\n" + text.replace(
        "\n    ", "\n"
    )
    done = run(text, tmp_path, backend.url, str(tmp_path / "spool"), python=python_of(version))
    assert done.stderr == ""
    assert names(backend) == {"child", "parent"}


APP = """
import os, warnings
import sessiontrace as st
warnings.filterwarnings("ignore", message=".*multi-threaded, use of fork.*")
st.init(st.HoneyHive(api_key="k", base_url=os.environ["URL"]), spool=os.environ["SPOOL"])
with st.span("preloaded"):
    pass

def application(environ, start_response):
    with st.span("request " + environ["PATH_INFO"][1:]):
        pass
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]

async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            if kind == "lifespan.shutdown" and "SHUTDOWN" in os.environ:
                st.shutdown(20)
            await send({"type": kind + ".complete"})
            if kind == "lifespan.shutdown":
                return
    async with st.span("request " + scope["path"][1:]):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})
"""


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


GUNICORN = ["gunicorn", "--preload", "--workers=2", "--bind=127.0.0.1:{port}",
            "--log-level=warning", "app:application"]  # fmt: skip
UVICORN = ["uvicorn", "--workers=2", "--host=127.0.0.1", "--port={port}", "--log-level=warning",
           "app:asgi"]  # fmt: skip


def serve(backend: Backend, tmp_path: Path, command: list[str], **env: str) -> None:
    """Run a server until both of its workers have answered; then it gets SIGTERM and ends."""
    found = subprocess.run([sys.executable, "-c", f"import {command[0]}"], capture_output=True)
    if found.returncode:
        pytest.skip(f"{command[0]} is not installed")
    (tmp_path / "app.py").write_text(APP)
    port = _free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", *(word.format(port=port) for word in command)],
        env=environment(tmp_path, URL=backend.url, SPOOL=str(tmp_path / "spool"), **env),
        cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        workers = set()

        def ask() -> bool:
            try:
                url = f"http://127.0.0.1:{port}/{len(workers)}"
                with urllib.request.urlopen(url, timeout=5) as reply:
                    workers.add(reply.read())
            except OSError:
                return False
            return True

        eventually(ask, 20)
        until = time.monotonic() + 10
        while len(workers) < 2 and time.monotonic() < until:
            ask()
        server.send_signal(signal.SIGTERM)
        assert server.wait(20) in (0, -signal.SIGTERM)
    finally:
        if server.poll() is None:
            server.kill()
            server.wait()


@pytest.mark.parametrize(
    ("command", "env"),
    [
        pytest.param(GUNICORN, {"SESSIONTRACE_EXIT_TIMEOUT": "20"}, id="gunicorn --preload"),
        pytest.param(UVICORN, {"SHUTDOWN": "1"}, id="uvicorn --workers"),
    ],
)
def test_B12_servers_with_several_workers(
    backend: Backend, tmp_path: Path, command: list[str], env: dict[str, str]
) -> None:
    """The application is loaded, and has recorded something, before its workers are forked; then
    requests are answered by both; then the server gets SIGTERM. gunicorn's workers run the exit
    hooks, and the application's lifespan calls ``st.shutdown`` in uvicorn's. With the time they
    need, everything arrives once.
    """
    serve(backend, tmp_path, command, **env)
    adopt(backend, tmp_path, {"preloaded", "request 0"})
    ids = Counter(event["event_id"] for event in arrived(backend))
    assert max(ids.values()) == 1


def test_B12_workers_of_uvicorn_that_do_not_shut_down_leave_the_rest_to_the_next_run(
    backend: Backend, tmp_path: Path
) -> None:
    """After its own graceful end, uvicorn raises SIGTERM again with its default action, which runs
    no hook: a worker ends at any moment of a delivery. Everything arrives at least once, and what
    arrives twice is the same event to the byte.
    """
    serve(backend, tmp_path, UVICORN)
    adopt(backend, tmp_path, {"preloaded", "request 0"})
    versions: dict[str, list[object]] = {}
    for event in arrived(backend):
        versions.setdefault(event["event_id"], []).append(event)
    assert all(copy == copies[0] for copies in versions.values() for copy in copies)


def test_B10_a_child_with_a_dead_backend_leaves_its_events_to_the_next(
    backend: Backend, tmp_path: Path
) -> None:
    """Parent and child both end while the backend is down: two spools, both adopted later."""
    backend.responder = lambda request: answer(503)
    text = (
        OPENING
        + """
record("parent", 3)
if (child := os.fork()) == 0:
    record("child", 3)
    os._exit(0)
assert ended(child) == 0
os._exit(0)
"""
    )
    run(text, tmp_path, backend.url, str(tmp_path / "spool"))
    assert len(list((tmp_path / "spool").glob("*/lock"))) == 2
    backend.responder = lambda request: answer()
    backend.requests.clear()
    adopt(backend, tmp_path, {*numbered("parent", 3), *numbered("child", 3)})
    assert os.getpid()


def test_B12_a_fork_that_runs_no_hook_is_noticed_at_the_next_event(
    backend: Backend, tmp_path: Path
) -> None:
    """Some servers fork in C, where Python's fork hooks do not run. The first record in the child
    finds that the process is another one: from there on each has its own spool and threads.
    """
    text = (
        "import os\nos.register_at_fork = lambda **hooks: None\n"
        + OPENING
        + """
record("parent", 5)
assert st.flush(10)
if (child := os.fork()) == 0:
    record("child", 5)
    os._exit(0 if st.flush(10) else 1)
assert ended(child) == 0
record("after", 5)
assert st.flush(10), st.stats()
"""
    )
    run(text, tmp_path, backend.url, str(tmp_path / "spool"))
    once(backend, *numbered("parent", 5), *numbered("child", 5), *numbered("after", 5))


def test_B09_a_fork_while_our_threads_still_import_hurts_nobody(tmp_path: Path) -> None:
    """The first event starts our threads, which import for a while; the program forks at once, as
    a preloading server does. Half-imported modules would stay so in the child for ever.
    """
    text = """
    import os, sys, time
    import sessiontrace as st
    st.init(st.Local(path=sys.argv[1]), spool=sys.argv[2])
    def record(name):
        with st.span(name):
            pass
    record("parent")
    children = []
    for delay in (0, 0.003, 0.01, 0.03, 0.06):
        time.sleep(delay)
        if (child := os.fork()) == 0:
            record("child")
            os._exit(0 if st.flush(15) else 1)
        children.append(child)
    for child in children:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert st.flush(10), st.stats()
    """
    text = (
        "import warnings; warnings.filterwarnings('ignore', message='.*fork.*')\n"
        + text.replace("\n    ", "\n")
    )
    done = run(text, tmp_path, str(tmp_path / "store.db"), str(tmp_path / "spool"), limit=25)
    assert done.stderr == ""
