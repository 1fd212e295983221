"""The sender's event loop: busy for as long as it likes, and nobody notices."""

from __future__ import annotations

import asyncio
import socket
import threading
import time

from support.patience import patience

from sessiontrace.runtime import event_loop


def test_a_busy_loop_does_not_starve_other_threads() -> None:
    """A loop that always has something to do polls its selector without waiting, again and again.
    With asyncio's own selector another thread got the interpreter 3 times in 3 seconds."""
    turns = 0
    over = threading.Event()

    async def busy() -> None:
        while not over.is_set():
            until = time.perf_counter() + 200e-6
            while time.perf_counter() < until:
                pass
            await asyncio.sleep(0)

    thread = threading.Thread(target=event_loop.run, args=(busy,))
    thread.start()
    try:
        deadline = time.monotonic() + patience(1.0)
        while turns <= 100 and time.monotonic() < deadline:
            time.sleep(0.001)
            turns += 1
    finally:
        over.set()
        thread.join(patience(10))
    assert turns > 100


def test_many_ready_sockets_take_turns() -> None:
    """Twenty sockets that are always ready, of which a few are named at a time: each is served."""
    served: dict[int, int] = {}

    async def main() -> None:
        running = asyncio.get_running_loop()
        pairs = [socket.socketpair() for _ in range(20)]
        done = asyncio.Event()

        def ready(number: int) -> None:
            served[number] = served.get(number, 0) + 1
            if len(served) == 20:
                done.set()

        for number, (left, right) in enumerate(pairs):
            right.send(b"never read")
            running.add_reader(left, ready, number)
        try:
            await asyncio.wait_for(done.wait(), 5)
        finally:
            for left, right in pairs:
                running.remove_reader(left)
                left.close()
                right.close()

    event_loop.run(main)
    assert len(served) == 20


def test_a_clock_waits_for_the_bell_or_the_time() -> None:
    """Whichever comes first; None waits for the bell alone."""

    async def main() -> None:
        clock = event_loop.Clock()
        bell = asyncio.Event()
        begun = clock.now()
        await clock.wait(bell, 0.02)
        assert clock.now() - begun >= 0.015
        asyncio.get_running_loop().call_later(0.02, bell.set)
        await clock.wait(bell, 60)
        bell.clear()
        asyncio.get_running_loop().call_later(0.02, bell.set)
        await clock.wait(bell, None)
        assert clock.now() - begun < 5

    event_loop.run(main)
