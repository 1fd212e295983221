"""Two sessions, and two sets of them, over the page's API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.records import T0, event, session_end, write
from support.server_process import Served, serving

from sessiontrace.model.ids import new_id


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("served") / "store.db") as served:
        yield served


def stored(server: Served, steps: int, changed: int = -1, user: str = "ada") -> str:
    """A session with so many steps, one of which has another name and failed."""
    sid = new_id()
    records = [
        event(
            sid, T0 + at, event_name="answer" if at == changed else f"step {at % 7}",
            **({"error": "E: x"} if at == changed else {}),
        )
        for at in range(steps)
    ]  # fmt: skip
    write(
        Path(server.json("/api/about")["store"]),
        session_end(sid, took=steps, user_properties={"user_id": user}),
        *records,
    )
    return sid


def test_the_counts_of_two_thousand_steps_are_right(server: Served):
    """One step is under another name and failed; five are in one session only."""
    left, right = stored(server, 2_000), stored(server, 2_005, changed=700)
    answer = server.json(f"/api/compare?a={left}&b={right[:20]}")
    assert answer["counts"] == {
        "pairs": 2_000, "left": 0, "right": 5, "moved": 0, "renamed": 1, "failed": 1,
    }  # fmt: skip
    assert len(answer["pairs"]) == 2_005
    assert answer["omitted"] == [0, 0]
    assert answer["right"]["session"]["session_id"] == right


def test_two_sets_are_what_two_queries_find(server: Served):
    for number in (3, 5):
        stored(server, number, user=f"user{number}")
    answer = server.json("/api/compare/sets?a=user:user3&b=user:user5")
    assert [answer[side]["sessions"] for side in ("left", "right")] == [1, 1]
    assert [row["name"] for row in answer["steps"]] == ["step 3", "step 4", "step 0", "step 1",
                                                        "step 2"]  # fmt: skip
    assert answer["steps"][0]["left"] is None


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        ("?a=nowhere&b=nowhere", 404, "the session nowhere is not in this store"),
        ("/sets?a=usr:ada", 400, "a: there is no filter 'usr'; did you mean 'user'?"),
        ("/sets?b=cost:much", 400, "b: cost takes a number, as in 100, 0.1 or 10k; got 'much'"),
    ],
)
def test_what_cannot_be_compared_is_said(server: Served, path: str, status: int, reason: str):
    answer = server.request(f"/api/compare{path}")
    assert answer[0] == status
    assert reason.encode() in answer[2]
