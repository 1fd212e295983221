"""What the package costs a program before its first event and after its last one.

import     milliseconds of `import sessiontrace` and of `import asyncio`, in turns, each in a
           fresh interpreter: by the clock, and of its own processor
first use  milliseconds, by the clock and of the processor, of each step in a fresh interpreter: the
           import, `instrument()`, a tracer, its first session with a span, and the second; what
           one step loads, those after it need not
installed  distributions that pip brings with it, itself included, and MiB of their files
hooks      milliseconds of processor that hooks add to the import of a library, after
           `st.instrument()`: our modules for it are imported, and its methods wrapped
memory     MiB resident in a process that imported it, traced one event, and holds the rest idle
init       microseconds of `st.init` with the configuration that is in use: each of 40 requests
           in 4 threads calls it first. By the clock (median) and of the processor (mean); and how
           many of their sessions were complete in the store, and how many abandoned
exit       seconds from the end of main to the end of the process, with 1000 events pending and a
           backend that refuses connections, takes them and hangs, answers 500, or is well; and
           how many of the events never arrive once it is well again and the program runs anew
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import machine_info
import payloads
import subprocess_run
from export import opened, produce
from harness import Bench, Column, Table
from packaging.requirements import Requirement
from plot import Bar, Bars
from sink import Sink, refusing

import sessiontrace

PENDING = 1_000
PATIENCE_S = 60
REQUESTS, THREADS = 40, 4

_IMPORT = """
import sys, time
begun, cpu = time.perf_counter(), time.process_time()
__import__(sys.argv[1])
cpu, taken = time.process_time() - cpu, time.perf_counter() - begun
rss = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmRSS")] \
    if sys.platform == "linux" else ["0"]
print("[%f, %f, %f]" % (taken * 1000, cpu * 1000, int(rss[0]) / 1024))
"""


_HOOKS = """
import sys, time
import sessiontrace as st
from sessiontrace.instrumentation.import_hooks import Hooks
st.instrument()
fire, spent = Hooks._fire, []
def timed(*arguments):
    begun = time.process_time()
    fire(*arguments)
    spent.append(time.process_time() - begun)
Hooks._fire = timed
__import__(sys.argv[1])
print(sum(spent) * 1000)
"""
LIBRARIES = ("openai", "anthropic")

_FIRST_USE = """
import json, time
times, begun, cpu = {}, time.perf_counter(), time.process_time()
def step(name):
    global begun, cpu
    times[name] = [(time.perf_counter() - begun) * 1000, (time.process_time() - cpu) * 1000]
    begun, cpu = time.perf_counter(), time.process_time()
import sessiontrace as st
step("import")
st.instrument()
step("instrument()")
tracer = st.Tracer(st.HoneyHive(api_key="benchmark", base_url="http://127.0.0.1:9"), spool=False)
step("Tracer()")
for which in ("first", "second"):
    with tracer.session("request"), tracer.span("step", inputs={"question": "why?"}):
        pass
    step(which + " session")
print(json.dumps(times))
tracer.shutdown(timeout=0)
"""


def first_use() -> dict[str, list[float]]:
    """The steps of a program until its second session: ms by the clock and of the processor."""
    done = subprocess.check_output(
        [sys.executable, "-c", _FIRST_USE], text=True, stderr=subprocess.DEVNULL
    )
    steps: dict[str, list[float]] = json.loads(done)
    return steps


def hooking(library: str) -> float:
    """Milliseconds of the processor that our hooks take while a library is imported."""
    done = subprocess.check_output([sys.executable, "-c", _HOOKS, library], text=True)
    return float(done)


def importing(module: str) -> list[float]:
    """Milliseconds by the clock, of the processor, and MiB resident after it."""
    done = subprocess.check_output([sys.executable, "-c", _IMPORT, module], text=True)
    found: list[float] = json.loads(done)
    return found


def closure(name: str) -> set[str]:
    """The distributions that installing this one brings, itself included."""
    found: set[str] = set()
    todo = [name]
    while todo:
        one = todo.pop().lower().replace("_", "-")
        if one in found:
            continue
        found.add(one)
        needs = [Requirement(text) for text in importlib.metadata.requires(one) or ()]
        todo += [r.name for r in needs if r.marker is None or r.marker.evaluate({"extra": ""})]
    return found


def size_mib(names: set[str]) -> float:
    """The files of these distributions, without compiled Python; ours from where it is."""
    total = 0
    for name in names:
        files = importlib.metadata.files(name) or []
        places = [Path(str(file.locate())) for file in files]
        if name == "sessiontrace":
            places = list(Path(sessiontrace.__file__).parent.rglob("*"))
        total += sum(one.stat().st_size for one in places if one.suffix != ".pyc" and one.is_file())
    return total / 2**20


def resident(url: str, root: str) -> dict[str, float]:
    """In a process of its own: memory after one event, delivered."""
    before = machine_info.resident_mib()
    tracer = opened(["honeyhive"], url, root)
    produce(tracer, payloads.fresh(1))
    tracer.flush(timeout=30)
    found = {"before_mib": before, "mib": machine_info.resident_mib()}
    tracer.shutdown(timeout=5)
    return found


def leave(url: str, root: str, mode: str) -> dict[str, int]:
    """In a process of its own: a thousand events, and the end of the program."""
    import sessiontrace as st

    there = st.HoneyHive(api_key="benchmark", base_url=url)
    tracer = st.Tracer(there, spool=Path(root) / "spool")
    if mode != "refuses":
        produce(tracer, payloads.fresh(1))
        tracer.flush(timeout=30)
        urllib.request.urlopen(f"{url}/sink/mode/{mode}").close()
    produce(tracer, payloads.fresh(PENDING))
    return {"made": PENDING}


def recover(url: str, root: str, count: int) -> dict[str, float]:
    """In a process of its own: the program's next run, until nothing of the last one is left."""
    tracer = opened(["honeyhive"], url, root)
    produce(tracer, payloads.fresh(1))
    tracer.flush(timeout=30)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        now = tracer.stats().destinations["honeyhive"]
        if now.adopted_acked >= count or (not now.adopted_pending and now.adopted_acked):
            break
        time.sleep(0.01)
    tracer.shutdown(timeout=5)
    return {}


def initialise(url: str, root: str) -> dict[str, float]:
    """In a process of its own: requests that call ``init``, each in front of its session."""
    import sessiontrace as st
    from sessiontrace.store.models import SessionQuery
    from sessiontrace.store.sqlite.store import SqliteStore

    store, clocks, cpus = Path(root) / "store.db", list[float](), list[float]()

    def serve() -> None:
        for _ in range(REQUESTS // THREADS):
            begun, cpu = time.perf_counter(), time.thread_time()
            st.init(st.Local(path=store), spool=Path(root) / "spool")
            cpus.append(time.thread_time() - cpu)
            clocks.append(time.perf_counter() - begun)
            with st.session("request"):
                for _ in range(3):
                    with st.span("step"):
                        pass

    st.init(st.Local(path=store), spool=Path(root) / "spool")
    with ThreadPoolExecutor(THREADS) as pool:
        for future in [pool.submit(serve) for _ in range(THREADS)]:
            future.result()
    st.shutdown(timeout=PATIENCE_S)
    reader = SqliteStore(store)
    sessions = reader.sessions(SessionQuery(limit=2 * REQUESTS)).sessions
    reader.close()
    return {
        "us": statistics.median(clocks) * 1e6,
        "cpu_us": statistics.mean(cpus) * 1e6,
        "complete": sum(session.status == "ended" for session in sessions),
        "abandoned": sum(session.status == "abandoned" for session in sessions),
    }


WORK: dict[str, Callable[..., Any]] = {
    "leave": leave,
    "resident": resident,
    "recover": recover,
    "initialise": initialise,
}


def work(what: str, **asked: Any) -> Any:
    return WORK[what](**asked)


def leaving(mode: str) -> dict[str, float]:
    """The exit with a backend in this mode, and what of it arrives later."""
    with tempfile.TemporaryDirectory() as root:
        with refusing() as port:
            url = f"http://127.0.0.1:{port}"
            if mode == "refuses":
                ended = exit_of(url, root, mode)
        with Sink(port=port) as sink:
            if mode != "refuses":
                ended = exit_of(url, root, mode)
                sink.mode("ok")
            before = sink.counts()["events"]
            if before < PENDING:
                subprocess_run.ask(what="recover", url=url, root=root, count=PENDING)
            arrived = sink.counts()["events"]
    return {"exit_s": ended.seconds, "missing": max(PENDING - arrived, 0)}


def exit_of(url: str, root: str, mode: str) -> subprocess_run.Ended:
    ended = subprocess_run.outcome(
        {"what": "leave", "url": url, "root": root, "mode": mode}, PATIENCE_S
    )
    if ended.killed or ended.code:
        sys.exit(f"{mode}: the process did not end by itself (status {ended.code})")
    return ended


MODES = {"refuses": "refuses", "hangs": "hang", "answers 500": "500", "is well": "ok"}


def main() -> None:
    if subprocess_run.answer(work):
        return
    bench = Bench(__doc__)
    bench.option("--rounds", full=15, quick=5, help="imports")
    bench.option("--exits", full=5, quick=1, help="exits of each sort")
    options = bench.start()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    imports: dict[str, list[list[float]]] = {"sessiontrace": [], "asyncio": [], "sys": []}
    installed = [name for name in LIBRARIES if importlib.util.find_spec(name)]
    hooks: dict[str, list[float]] = {name: [] for name in installed}
    uses: dict[str, list[list[float]]] = {}
    exits: dict[str, list[dict[str, float]]] = {mode: [] for mode in MODES}
    with bench.progress(options.rounds + options.exits * len(MODES)) as step:
        for module in imports:
            importing(module)  # so that it is compiled
        for _ in range(options.rounds):
            for module, taken in imports.items():
                taken.append(importing(module))
            for library, spent in hooks.items():
                spent.append(hooking(library))
            for name, taken in first_use().items():
                uses.setdefault(name, []).append(taken)
            step("import")
        for _ in range(options.exits):
            for mode, ended in exits.items():
                ended.append(leaving(MODES[mode]))
                step(f"exit, backend {mode}")
    with Sink() as sink, tempfile.TemporaryDirectory() as root:
        memory = subprocess_run.ask(what="resident", url=sink.url, root=root)
    inits = []
    for _ in range(options.exits):
        with tempfile.TemporaryDirectory() as root:
            inits.append(subprocess_run.ask(what="initialise", url="", root=root))
    report(bench, imports, hooks, uses, exits, memory, inits)


def report(
    bench: Bench, imports: Any, hooks: Any, uses: Any, exits: Any, memory: Any, inits: Any
) -> None:
    """Medians as tables."""
    middle = {
        module: [statistics.median(one) for one in zip(*taken, strict=True)]
        for module, taken in imports.items()
    }
    rows = [
        {
            "module": module,
            "ms": ms,
            "cpu_ms": cpu,
            "rss_mib": rss,
            "ratio": cpu / middle["asyncio"][1],
        }
        for module, (ms, cpu, rss) in middle.items()
        if module != "sys"
    ]
    names = closure("sessiontrace")
    kept = {
        "distributions": len(names),
        "mib": size_mib(names),
        "own_mib": size_mib({"sessiontrace"}),
        "bare_rss": middle["sys"][2],
        "rss": memory["mib"],
    }
    ends = [
        {"backend": mode, "exit_s": statistics.median(one["exit_s"] for one in taken),
         "missing": max(one["missing"] for one in taken)}
        for mode, taken in exits.items()
    ]  # fmt: skip
    bench.finish(
        Table("import", (
            Column("module", "import"), Column("ms", "ms"), Column("cpu_ms", "CPU ms"),
            Column("ratio", "to asyncio", ".2f"), Column("rss_mib", "MiB resident"),
        ), rows),
        Table("hooks", (
            Column("library", "hooks at the import of"), Column("cpu_ms", "CPU ms"),
        ), [
            {"library": library, "cpu_ms": statistics.median(spent)}
            for library, spent in hooks.items()
        ]),
        Table("first use", (
            Column("step", "step"), Column("ms", "ms", ".2f"), Column("cpu_ms", "CPU ms", ".2f"),
        ), [
            {"step": step, "ms": ms, "cpu_ms": cpu}
            for step, taken in uses.items()
            for ms, cpu in [(statistics.median(one) for one in zip(*taken, strict=True))]
        ]),
        Table("installed", (
            Column("distributions", "distributions", "d"), Column("mib", "MiB of files"),
            Column("own_mib", "of them ours"), Column("bare_rss", "MiB bare Python"),
            Column("rss", "MiB after one event"),
        ), [kept]),
        Table("init", (
            Column("us", "us by the clock"), Column("cpu_us", "CPU us"),
            Column("complete", "sessions complete", ".0f"),
            Column("abandoned", "abandoned", ".0f"),
        ), [{key: statistics.median(init[key] for init in inits) for key in inits[0]}]),
        Table("exit", (
            Column("backend", "backend"), Column("exit_s", "s at exit", ".2f"),
            Column("missing", "missing later", ".0f"),
        ), ends),
        plot=Bars("Seconds at exit, 1000 events pending", [
            Bar(f"backend {row['backend']}", row["exit_s"], own=True) for row in ends
        ], "s"),
    )  # fmt: skip


if __name__ == "__main__":
    main()
