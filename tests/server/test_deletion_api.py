"""Sessions deleted over the page's API: by id and by query, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.records import event, session_end, write
from support.server_process import Served, serving

from sessiontrace.model.ids import new_id

PATH = "/api/sessions/delete"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("served") / "store.db") as served:
        yield served


def delete(server: Served, body: Any) -> tuple[int, dict[str, Any]]:
    encoded = json.dumps(body).encode()
    status, _, answer = server.request(PATH, "POST", encoded, content_type="application/json")
    return status, json.loads(answer)


def store_of(server: Served) -> Path:
    return Path(server.json("/api/about")["store"])


def test_a_session_is_deleted_by_its_id(server: Served):
    """A second time there is nothing to delete, and the session cannot be read."""
    sid = new_id()
    write(store_of(server), session_end(sid), event(sid, inputs={"q": "why"}))
    erased = {"sessions": 1, "steps": 1, "remains": "", "media": 0, "media_bytes": 0}
    assert delete(server, {"ids": [sid]}) == (200, erased)
    assert server.request(f"/api/sessions/{sid}")[0] == 404
    assert delete(server, {"ids": [sid]})[1]["sessions"] == 0


def test_what_a_query_finds_is_deleted_when_it_is_as_many_as_expected(server: Served):
    """A session that came in between is not deleted unseen."""
    for user in ("ada", "ada", "bob"):
        write(store_of(server), session_end(new_id(), user_properties={"user_id": user}))
    status, answer = delete(server, {"q": "user:ada", "expect": 1})
    assert (status, answer["error"]) == (409, "the query finds 2 sessions, not 1")
    assert delete(server, {"q": "user:ada", "expect": 2})[1]["sessions"] == 2
    left = server.json("/api/sessions")["sessions"]
    assert [session["user"] for session in left] == ["bob"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ([], "the body must be an object"),
        ({}, "ids must be a list of session ids, or q a query"),
        ({"ids": "x"}, "ids must be a list of session ids, or q a query"),
        ({"ids": [1]}, "ids must be a list of session ids, or q a query"),
        ({"ids": ["x" * 600]}, "ids must be a list of session ids, or q a query"),
        ({"ids": ["x"] * 1001}, "at most 1000 ids at once"),
        ({"q": "user:ada"}, "expect must be the number of sessions that the query finds"),
        ({"q": "a", "expect": True}, "expect must be the number of sessions that the query finds"),
    ],
)
def test_what_names_no_sessions_deletes_none(server: Served, body: Any, reason: str):
    """Each with the reason, and with nothing gone."""
    before = server.json("/api/sessions")
    assert delete(server, body) == (400, {"error": reason})
    assert server.json("/api/sessions") == before


def test_a_query_that_cannot_be_understood_is_marked(server: Served):
    """As in the list."""
    status, answer = delete(server, {"q": "cost:>x", "expect": 0})
    assert status == 400
    assert answer["position"] >= 0
