"""Two servers over ClickHouse that take the spans of one trace show what one over SQLite shows."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.otlp_replicas import calls, everything, take_in_any_way, traces

from sessiontrace.model.ids import new_id
from sessiontrace.store.clickhouse.store import ClickHouseStore
from sessiontrace.store.sqlite.store import SqliteStore


@pytest.mark.timeout(240)
def test_two_servers_and_any_order_give_the_same_sessions(engine: Any, tmp_path: Path):
    """Without a transaction over reading and writing; each sees what the other inserted."""
    line = engine.line()

    @settings(max_examples=4, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(
        spans=st.one_of(traces(), calls()), requests=st.integers(2, 8), seed=st.integers(0, 2**32)
    )
    def compared(spans: list[dict[str, Any]], requests: int, seed: int) -> None:
        project = f"test-{new_id()}"
        servers = [ClickHouseStore(line, project) for _ in range(2)]
        take_in_any_way(servers, spans, requests, random.Random(seed))
        alone = SqliteStore(tmp_path / f"{project}.db")
        take_in_any_way([alone], spans, 1, random.Random(0))
        assert everything(servers[0]) == everything(alone)
        alone.close()

    compared()
    line.close()
