"""Retention on the page: shown, changed with what it deletes in view, and never silent."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.records import session_end, write
from support.server_process import Served, serving

from sessiontrace.model.ids import new_id

DAY_MS = 86_400_000


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    path = tmp_path / "store.db"
    write(path, *[session_end(new_id()) for _ in range(4)])
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(f"UPDATE sessions SET written = written - 10 * {DAY_MS} WHERE id < 4")
    connection.close()
    with serving(path) as served:
        yield served


def change(server: Served, **body: Any) -> tuple[int, dict[str, Any]]:
    encoded = json.dumps(body).encode()
    status, _, answer = server.request(
        "/api/retention", "POST", encoded, Content_Type="application/json"
    )
    return status, json.loads(answer)


def test_a_change_shows_first_what_it_deletes(server: Served):
    """The reader sees how many sessions go, from when to when, and sends that number along."""
    shown = server.json("/api/retention")
    assert shown["rule"] == {"days": 30.0, "most_bytes": 2 << 30}
    assert (shown["stored"], shown["may_change"], shown["deletions"]) == (4, True, [])
    assert shown["media"]["limits"] == {"item_bytes": 16 << 20, "total_bytes": 1 << 30}
    preview = server.json("/api/retention/preview?days=7&most_bytes=")
    assert (preview["sessions"], preview["aged"], preview["excess"]) == (3, 3, 0)
    assert preview["newest"] < preview["oldest"] + DAY_MS
    assert server.json("/api/retention/preview?days=20")["sessions"] == 0
    status, answer = change(server, days=20, most_bytes=None, expect=0)
    assert (status, answer["rule"]) == (200, {"days": 20.0, "most_bytes": None})


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"days": 7}, "expect must be the number"),
        ({"days": 0, "expect": 1}, "days must be above 0"),
        ({"days": True, "expect": 1}, "days must be above 0"),
        ({"days": "7", "expect": 1}, "days must be above 0"),
        ({"most_bytes": 5, "expect": 1}, "most_bytes must be at least"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(store_server: Served, body: dict[str, Any], reason: str):
    """A slip of the finger never deletes everything."""
    status, answer = change(store_server, **body)
    assert status == 400
    assert answer["error"].startswith(reason)
    assert store_server.request("/api/retention/preview?days=x")[0] == 400


@pytest.fixture(scope="module")
def store_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server whose options say what to begin with."""
    path = tmp_path_factory.mktemp("retention") / "store.db"
    write(path, *[session_end(new_id()) for _ in range(20)])
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(f"UPDATE sessions SET written = written - 10 * {DAY_MS}")
    connection.close()
    with serving(path, "--keep-days", "90") as served:
        yield served


def test_more_than_was_shown_is_not_deleted(store_server: Served):
    """The sessions grew old while the reader looked."""
    assert store_server.json("/api/retention")["rule"] == {"days": 90.0, "most_bytes": 2 << 30}
    status, answer = change(store_server, days=7, most_bytes=None, expect=0)
    assert (status, answer["error"]) == (409, "this rule would delete 20 sessions now, not 0")
    assert store_server.json("/api/retention")["rule"]["days"] == 90.0
