"""A pool that one request made works for another: each event is in the session of its own work."""

from __future__ import annotations

import queue
import threading
from multiprocessing.pool import ThreadPool
from typing import Any

import sessiontrace as st
from sessiontrace.testing import Captured


@st.tool
def lookup(user: str) -> str:
    return user


def names_in(captured: Captured, name: str) -> list[Any]:
    """The users whose lookups are in the session of this name."""
    (session,) = [node for node in captured.sessions if node.name == name]
    return [node.inputs["user"] for node in session.walk() if node.name == "lookup"]


def test_a_pool_of_threads_keeps_no_request(traces: Captured) -> None:
    """Alice's request makes the pool and streams on; Bob's uses it meanwhile."""
    with st.session("alice"):
        pool = ThreadPool(1)
        pool.apply(lookup, ("alice",))

        def bob() -> None:
            with st.session("bob"):
                pool.apply(lookup, ("bob",))
                pool.map(lookup, ["bob's secret"])

        request = threading.Thread(target=bob)
        request.start()
        request.join()
    pool.close()
    pool.join()
    assert names_in(traces, "alice") == ["alice"]
    assert names_in(traces, "bob") == ["bob", "bob's secret"]


def test_a_worker_of_a_queue_lets_an_ended_request_go(traces: Captured) -> None:
    """A request started the worker thread and has ended: later work is in no session of its."""
    jobs: queue.Queue[str | None] = queue.Queue()

    def work() -> None:
        while (user := jobs.get()) is not None:
            lookup(user)
            jobs.task_done()

    with st.session("alice"):
        worker = threading.Thread(target=work)
        worker.start()
        jobs.put("alice")
        jobs.join()
    with st.session("bob"):
        jobs.put("bob")
        jobs.join()
    jobs.put(None)
    worker.join()
    assert "bob" not in names_in(traces, "alice")
