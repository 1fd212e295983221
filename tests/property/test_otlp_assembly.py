"""The spans of a trace give one session, in whatever order, requests and servers they arrive."""

from __future__ import annotations

import random
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.otlp_replicas import calls, everything, take_in_any_way, traces

from sessiontrace.store.sqlite.store import SqliteStore


def quick_stores(path: Path, count: int) -> list[SqliteStore]:
    """Connections of as many servers to one file, which need not survive a power cut."""
    stores = [SqliteStore(path) for _ in range(count)]
    for store in stores:
        store.open()
        connection = store._connection
        assert isinstance(connection, sqlite3.Connection)
        connection.execute("PRAGMA synchronous = OFF")
    return stores


def shown(spans: list[dict[str, Any]], requests: int, servers: int, seed: int) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        stores = quick_stores(Path(folder) / "store.db", servers)
        take_in_any_way(stores, spans, requests, random.Random(seed))
        answer = everything(stores[0])
        for store in stores:
            store.close()
    return answer


@pytest.mark.timeout(120)
@settings(max_examples=12, deadline=None)
@given(spans=traces(), requests=st.integers(1, 20), seed=st.integers(0, 2**32))
def test_any_order_requests_and_servers_give_the_same_sessions(
    spans: list[dict[str, Any]], requests: int, seed: int
):
    """Children end first, batches are cut by time, and a load balancer knows no traces.

    Two servers decide on the session of the same trace at the same time, from different spans.
    """
    assert shown(spans, requests, 2, seed) == shown(spans, 1, 1, 0)


@pytest.mark.timeout(120)
@settings(max_examples=12, deadline=None)
@given(spans=calls(), requests=st.integers(1, 20), seed=st.integers(0, 2**32))
def test_E23_calls_that_arrive_twice_are_the_same_events_in_any_order(
    spans: list[dict[str, Any]], requests: int, seed: int
):
    """A later span makes one event of two calls, or two of one: a sibling shows that the outer
    call was a router. Two servers fold at the same time.
    """
    assert shown(spans, requests, 2, seed) == shown(spans, 1, 1, 0)
