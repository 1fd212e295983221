"""The sources of a lane in turn, looked at from the user's threads meanwhile."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator

import pytest
from support.lane_harness import MemorySource, PlainExporter, event

from sessiontrace.export.source_rotation import SourceRotation


@pytest.fixture
def busy_interpreter() -> Iterator[None]:
    """Threads take turns after every few instructions."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_C33_counts_may_be_asked_for_while_the_sources_take_turns(busy_interpreter: None) -> None:
    """``stats()`` of a user's thread went through a deque that the sender's thread rotated, and
    raised. Found by the soak, with many spools of ended programs.
    """
    rotation = SourceRotation(MemorySource(), PlainExporter(), lambda: 0.0)
    for _ in range(50):
        source = MemorySource([event(1)], adopted=True)
        source.read_to = 1  # all of it is under way, so the source takes turns and sends nothing
        rotation.add(source)

    counts = {"turns": 0, "looks": 0}

    async def take_turns() -> None:
        while min(counts.values()) < 300:
            await rotation.next_delivery(False, lambda: None)
            counts["turns"] += 1

    thread = threading.Thread(target=lambda: asyncio.run(take_turns()))
    thread.start()
    try:
        while thread.is_alive():
            assert len(rotation.adopted) == 50
            counts["looks"] += 1
    finally:
        counts["looks"] = 300
        thread.join()
    assert counts["turns"] >= 300
