"""The context of work in schedulers, worker threads and greenlets of other libraries."""

from __future__ import annotations

import contextvars
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
import trio
from support.recording_tracer import Captured
from support.subprocesses import run

from sessiontrace.capture.context import executors

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def captured() -> Iterator[Captured]:
    captured = Captured()
    executors.carry(captured.current)
    yield captured
    executors.release(captured.current)


@pytest.mark.contract
def test_a_scheduler_that_a_request_started_works_for_none(captured: Captured) -> None:
    """APScheduler's thread and pool are born in Ada's session; a job is a session of its own."""
    background = pytest.importorskip("apscheduler.schedulers.background")
    events = pytest.importorskip("apscheduler.events")
    done, removed = threading.Event(), threading.Event()

    def job() -> None:
        with captured.span("job"):
            pass
        done.set()

    scheduler = background.BackgroundScheduler()
    # A scheduler that is shut down before its thread has removed the job raises in that thread.
    scheduler.add_listener(lambda _: removed.set(), events.EVENT_JOB_REMOVED)
    with captured.session("ada") as ada:
        scheduler.start()
        scheduler.add_job(job)
        assert done.wait(20)
        assert removed.wait(20)
    scheduler.shutdown()
    assert captured.event("job")["session_id"] != ada.session_id


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_worker_threads_and_task_groups_of_anyio_follow_the_work(
    captured: Captured, backend: str
) -> None:
    """The worker thread that Ada's request made runs Bob's call in Bob's session."""

    def lookup(user: str) -> None:
        with captured.span(f"lookup for {user}"):
            pass

    async def request(user: str, ids: dict[str, str]) -> None:
        async with captured.session(user) as session:
            await anyio.to_thread.run_sync(lookup, user)
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.to_thread.run_sync, lookup, f"{user} in a group")
            ids[user] = session.session_id

    async def main() -> dict[str, str]:
        ids: dict[str, str] = {}
        async with captured.session("first"):
            await request("ada", ids)
        await request("bob", ids)
        return ids

    ids = anyio.run(main, backend=backend)
    for user, session_id in ids.items():
        assert captured.event(f"lookup for {user}")["session_id"] == session_id
        assert captured.event(f"lookup for {user} in a group")["session_id"] == session_id


def test_a_nursery_of_trio_carries_the_span(captured: Captured) -> None:
    """Each child begins in the span that started it, whoever's nursery it is."""

    async def child() -> None:
        with captured.span("child"):
            await trio.lowlevel.checkpoint()

    async def main() -> None:
        async with captured.session(), trio.open_nursery() as nursery:
            with captured.span("parent"):
                nursery.start_soon(child)

    trio.run(main)
    assert captured.parent_of("child") == "parent"


def test_a_loop_in_a_thread_that_a_request_started(captured: Captured) -> None:
    """``run_coroutine_threadsafe`` into a shared loop: each coroutine is its caller's."""
    import asyncio

    loop = asyncio.new_event_loop()

    async def lookup(user: str) -> None:
        with captured.span(f"lookup for {user}"):
            await asyncio.sleep(0)

    def request(user: str) -> str:
        with captured.session(user) as session:
            asyncio.run_coroutine_threadsafe(lookup(user), loop).result(10)
        return session.session_id

    with captured.session("first"):
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        ids = {user: contextvars.Context().run(request, user) for user in ("ada", "bob")}
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
    for user, session_id in ids.items():
        assert captured.event(f"lookup for {user}")["session_id"] == session_id


GREENLETS = """
from gevent import monkey
monkey.patch_all()
import json, threading
from multiprocessing.pool import ThreadPool
import gevent, gevent.pool, gevent.threadpool
import sessiontrace as st

seen = {}

def lookup(user):
    with st.span("lookup for " + user):
        gevent.sleep(0)

def request(user, pools):
    with st.session(user) as session:
        if not pools:
            pools += [ThreadPool(1), gevent.threadpool.ThreadPool(1), gevent.pool.Pool(1)]
        gevent.sleep(0)
        lookup(user)
        thread = threading.Thread(target=lookup, args=(user + " in a thread",))
        thread.start()
        thread.join()
        pools[0].apply(lookup, (user + " in a pool",))
        pools[1].apply(lookup, (user + " alone",))
        pools[2].apply(lookup, (user + " alone too",))
        seen[user] = session.session_id

with st.testing.capture(pinned=False) as traces:
    pools = []
    first = gevent.spawn(request, "ada", pools)
    gevent.sleep(0)
    gevent.joinall([first, gevent.spawn(request, "bob", pools)], raise_error=True)
    events = {event["event_name"]: event["session_id"] for event in traces.events}
print(json.dumps([seen, events]))
"""


@pytest.mark.contract
def test_greenlets_share_a_thread_and_no_session(tmp_path: Path) -> None:
    """gevent with patched threads: requests are greenlets, and switch in the middle of spans."""
    pytest.importorskip("gevent")
    done = run(GREENLETS, tmp_path, limit=60).stdout
    seen: dict[str, Any]
    seen, events = json.loads(done)
    for user, session_id in seen.items():
        other = seen["bob" if user == "ada" else "ada"]
        for place in ("", " in a thread", " in a pool"):
            assert events[f"lookup for {user}{place}"] == session_id, place
        for place in (" alone", " alone too"):
            assert events[f"lookup for {user}{place}"] != other, place
