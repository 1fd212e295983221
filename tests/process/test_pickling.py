"""Decorated functions of a script, sent by value to workers that know nothing of the script."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.subprocesses import run

SCRIPT = """
import functools, sys
import sessiontrace as st

tracing = st if "default" in sys.argv else st.Tracer(
    st.HoneyHive(api_key="hh_a_very_secret_key"), spool=False
)

@tracing.tool
def plain(x, y=1): return x + y

@tracing.trace(ignore=("y",))
async def coroutine(x, y=1): return x + y

@tracing.tool
def generator(x, y=1): yield x + y

@tracing.tool
async def async_generator(x, y=1): yield x + y

@tracing.session("in a session", user="ada", metadata={"deep": {"list": [1]}}, inputs={"q": 1})
def in_session(x): return x + 1

@tracing.suppress()
def quiet(x, inner=plain):
    inner(x)
    return x + 1

@tracing.tool
@functools.lru_cache(maxsize=8)
def cached(x): return x + 1

class Callable:
    def __call__(self, x): return x + 1

@tracing.tool
class Methods:
    def __call__(self, x): return x + 1

functions = {
    "plain": plain, "coroutine": coroutine, "generator": generator,
    "async generator": async_generator, "session": in_session, "suppressed": quiet,
    "partial": tracing.tool(functools.partial(plain, 1)), "object": tracing.tool(Callable()),
    "class": Methods(), "cached": cached, "lambda": tracing.tool(lambda x: x + 1),
}
"""

SEND = """
if __name__ == "__main__":
    import json, subprocess
    pickler = __import__(sys.argv[1])
    pickled = pickler.dumps(functions)
    assert b"secret" not in pickled
    worker = subprocess.run([sys.executable, "-c", WORKER, sys.argv[1]], input=pickled,
                            capture_output=True)
    print(worker.stdout.decode() or worker.stderr.decode())
"""

WORKER = """
import asyncio, inspect, json, sys
functions = __import__(sys.argv[1]).loads(sys.stdin.buffer.read())
import sessiontrace as st

async def items(stream):
    return [item async for item in stream]

seen = {}
for name, function in functions.items():
    with st.testing.capture() as traces:
        result = function(1)
        if inspect.iscoroutine(result):
            result = asyncio.run(result)
        elif inspect.isgenerator(result):
            result = list(result)
        elif inspect.isasyncgen(result):
            result = asyncio.run(items(result))
        seen[name] = [result, len(traces.sessions), len(traces.events)]
print(json.dumps(seen))
"""

RESULTS = {"generator": [2], "async generator": [2]}


@pytest.mark.parametrize("pickler", ["cloudpickle", "dill"])
@pytest.mark.parametrize("tracer", ["default", "own"])
def test_E13_functions_of_a_script_run_in_a_worker(
    pickler: str, tracer: str, tmp_path: Path
) -> None:
    """Traced there by the worker's default tracer; those of a tracer with keys of its own run bare,
    and no key is in the bytes.
    """
    pytest.importorskip(pickler)
    program = tmp_path / "script.py"
    program.write_text(f"WORKER = {WORKER!r}\n{SCRIPT}\n{SEND}")
    out = run(
        "import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0],"
        " run_name='__main__')",
        tmp_path,
        str(program),
        pickler,
        tracer,
        SESSIONTRACE_STORE=str(tmp_path / "store.db"),
    ).stdout
    seen = json.loads(out)
    assert len(seen) == 11
    for name, (result, sessions, events) in seen.items():
        assert result == RESULTS.get(name, 2), name
        if tracer == "own" or name == "suppressed":
            assert (sessions, events) == (0, 0), name
        else:
            assert sessions == 1, name
            assert events == {"session": 0, "partial": 2}.get(name, 1), name


LOKY = """
import joblib, json
import sessiontrace as st

@st.tool
def work(number):
    return number, bool(st.current_session())

if __name__ == "__main__":
    with st.session("jobs"):
        print(json.dumps(joblib.Parallel(n_jobs=2)(joblib.delayed(work)(n) for n in range(4))))
"""

SPAWN = """
import json, multiprocessing
import sessiontrace as st

@st.tool
def work(number):
    return number, bool(st.current_session())

if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool, st.session("jobs"):
        print(json.dumps(pool.map(work, range(4))))
"""


@pytest.mark.parametrize("program", [LOKY, SPAWN], ids=["joblib", "spawn"])
def test_functions_of_a_script_run_in_pools_of_processes(program: str, tmp_path: Path) -> None:
    """joblib's loky pickles by value, spawn imports the script again; both trace in the worker."""
    if program is LOKY:
        pytest.importorskip("joblib")
    script = tmp_path / "script.py"
    script.write_text(program)
    out = run(
        "import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0],"
        " run_name='__main__')",
        tmp_path,
        str(script),
        SESSIONTRACE_DESTINATIONS="local",
        SESSIONTRACE_STORE=str(tmp_path / "store.db"),
    ).stdout
    assert json.loads(out) == [[number, True] for number in range(4)]
