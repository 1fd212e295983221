"""Other tracers' own requests, recorded from their real packages, are readable sessions here.

``make producers`` runs the packages themselves and records what they send; these tests replay the
recordings to one real server, in the order that the producers sent them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
from support.otlp_recorder import load
from support.producers import (
    PRODUCERS,
    PROGRAMS,
    RECORDED,
    SESSION,
    Producer,
    Session,
    check,
    sessions_of,
)
from support.server_process import serving

pytestmark = pytest.mark.contract


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, list[Session]]]:
    """Each producer's sessions, by its own id of the session."""
    with serving(tmp_path_factory.mktemp("producers") / "store.db") as served:
        before: set[str] = set()
        sessions: dict[str, list[Session]] = {}
        for number, producer in enumerate(PRODUCERS):
            own = own_session(number)
            for request in load(RECORDED / f"{producer.name}.json"):
                body = request.body.replace(SESSION.encode(), own.encode())
                status, _, reply = served.request(
                    request.path, "POST", body, Content_Type=request.content_type
                )
                assert status == 200, reply
            added = sessions_of(served, but=before)
            before |= {session.summary["session_id"] for session in added}
            sessions[producer.name] = added
        yield sessions


def own_session(number: int) -> str:
    """The id of a producer's session, as long as the one that was recorded."""
    return f"c-{number:04}"


@pytest.mark.parametrize(
    ("number", "producer"),
    list(enumerate(PRODUCERS)),
    ids=[producer.name for producer in PRODUCERS],
)
def test_a_producer_s_requests_are_a_session_with_chats_tools_and_tokens(
    number: int, producer: Producer, stored: Mapping[str, list[Session]]
) -> None:
    """The question, the tool's call and result, the answer, the counts, the session and its user;
    no attribute is left raw that has a field.
    """
    check(producer, stored[producer.name], own_session(number))


def test_the_list_shows_what_the_user_asked_first(stored: Mapping[str, list[Session]]) -> None:
    """Beside the name, so that an agent's conversations differ."""
    (session,) = stored["langfuse_python"]
    assert session.summary["preview"] == "What is the weather in Oslo?"


def test_each_program_has_its_recording_and_its_place_in_the_documentation() -> None:
    """The lines of configuration in the documentation are those of the program that ran."""
    recorded = {path.stem for path in RECORDED.glob("*.json")}
    assert recorded == {producer.name for producer in PRODUCERS}
    page = (PROGRAMS.parent.parent / "docs" / "producers.md").read_text()
    listings = {producer.program for producer in PRODUCERS if f"/{producer.program}:setup" in page}
    assert listings == {producer.program for producer in PRODUCERS}
