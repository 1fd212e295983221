"""Between real processes: over HTTP, and into a pool of worker processes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from support.subprocesses import run, start

SERVER = """
import json, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
import sessiontrace as st

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        with st.extract(self.headers) as caller, st.span("serve") as span:
            seen = {"session": span.session_id, "parent": caller.event_id}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(seen).encode())

    def log_message(self, *args):
        pass

st.init("local", spool=False)
with HTTPServer(("127.0.0.1", 0), Handler) as server:
    print(server.server_port, flush=True)
    server.handle_request()
"""

CLIENT = """
import asyncio, json, sys
import aiohttp
import sessiontrace as st

async def main():
    async with st.session("chat"), st.span("call") as span:
        async with aiohttp.ClientSession() as client:
            url = f"http://127.0.0.1:{sys.argv[1]}/"
            async with client.get(url, headers=st.inject({})) as reply:
                seen = json.loads(await reply.text())
        print(json.dumps([seen, {"session": span.session_id, "parent": span.event_id}]))

st.init("local", spool=False)
asyncio.run(main(), debug=True)
"""

POOL = """
import json, multiprocessing, sys
from concurrent.futures import ProcessPoolExecutor
import sessiontrace as st

@st.trace
def work(number):
    return number, st.current_span().session_id

def bare(number):
    return st.current_span().event_id

if __name__ == "__main__":
    st.init("local", spool=False)
    context = multiprocessing.get_context(sys.argv[1])
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        with st.session("chat"), st.span("parent") as span:
            traced = pool.submit(work, 7).result()
            mapped = list(pool.map(bare, [1, 2]))
        alone = pool.submit(bare, 1).result()
    print(json.dumps([traced, mapped, alone, span.session_id, span.event_id]))
"""


def test_two_processes_over_http_share_one_session(tmp_path: Path) -> None:
    """The server's span is a child of the client's very span, in the client's session."""
    store = {"SESSIONTRACE_STORE": str(tmp_path / "store.db")}
    with start(SERVER, tmp_path, **store) as server:
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        assert port, server.communicate()[1]
        out = run(CLIENT, tmp_path, port, PYTHONASYNCIODEBUG="1", **store).stdout
        assert server.wait(20) == 0, server.communicate()[1]
    seen, sent = json.loads(out)
    assert seen == sent


def test_a_process_pool_carries_the_span(tmp_path: Path) -> None:
    """submit and map, into spawned workers, which find their tracer by themselves."""
    program = tmp_path / "program.py"
    program.write_text(POOL)
    out = run(
        "import runpy, sys; sys.argv = [sys.argv[1], 'spawn'];"
        "runpy.run_path(sys.argv[0], run_name='__main__')",
        tmp_path,
        str(program),
        SESSIONTRACE_STORE=str(tmp_path / "store.db"),
        SESSIONTRACE_SPOOL="off",
    ).stdout
    traced, mapped, alone, session_id, event_id = json.loads(out)
    assert traced == [7, session_id]
    assert mapped == [event_id] * 2
    assert alone == ""


BORN_LATER = """
import json
import sessiontrace as st

def lookup(user):
    with st.span("lookup for " + user) as span:
        return span.session_id

if __name__ == "__main__":
    st.init("local", spool=False)
    seen = {}
    with st.session("ada") as ada:
        import multiprocessing
        with multiprocessing.get_context("fork").Pool(1) as pool:
            seen["ada"] = ada.session_id
            with st.session("bob") as bob:
                seen["in bob"] = pool.apply(lookup, ("bob",))
            pool.close()
            pool.join()
    print(json.dumps(seen))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_E15_a_pool_of_processes_that_is_imported_later_works_for_none(tmp_path: Path) -> None:
    """multiprocessing is imported within Ada's session, where its workers are forked: what a
    worker does for Bob is not in Ada's session.
    """
    seen = json.loads(run(BORN_LATER, tmp_path).stdout)
    assert seen["in bob"] != seen["ada"]
