"""Other tracers' own requests, recorded from their real packages, are readable sessions here.

``make producers`` runs the packages themselves and records what they send; these tests replay the
recordings to one real server, in the order that the producers sent them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
from support.otlp_recorder import load
from support.producers import (
    ANSWER,
    PRODUCERS,
    PROGRAMS,
    QUESTION,
    RECORDED,
    SESSION,
    Producer,
    Session,
    check,
    sessions_of,
)
from support.server_process import Served, serving

pytestmark = pytest.mark.contract


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("producers") / "store.db") as served:
        yield served


@pytest.fixture(scope="module")
def stored(server: Served) -> Mapping[str, list[Session]]:
    """Each producer's sessions, by its own id of the session."""
    before: set[str] = set()
    sessions: dict[str, list[Session]] = {}
    for number, producer in enumerate(PRODUCERS):
        own = own_session(number)
        for request in load(RECORDED / f"{producer.name}.json"):
            body = request.body.replace(SESSION.encode(), own.encode())
            status, _, reply = server.request(
                request.path, "POST", body, Content_Type=request.content_type
            )
            assert status == 200 or (status in (202, 207) and b'"errors":[{' not in reply), reply
        added = sessions_of(server, but=before)
        before |= {session.summary["session_id"] for session in added}
        sessions[producer.name] = added
    return sessions


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


UNSAID = {
    "autogen_agent": "its spans have no messages",
    "doubled_mistral": "OpenLLMetry leaves out what Mistral's client is asked",
    "codex_cli": "its log records have no answers",
    "crewai_crew": "the question is the description of a task, below the values that it is given",
    "litellm_otel": "the recorded call asks for the tool and has no answer",
}


@pytest.mark.parametrize("producer", PRODUCERS, ids=lambda producer: str(producer.name))
def test_a_thread_shows_the_question_and_the_answer(
    producer: Producer, server: Served, stored: Mapping[str, list[Session]]
) -> None:
    """Whatever the producer calls them, and on whichever of its spans they are."""
    if producer.name in UNSAID:
        return
    (session,) = stored[producer.name]
    thread = server.json(f"/api/sessions/{session.summary['session_id']}/thread")
    first = [(line["role"], line["text"]) for line in thread["turns"][0]["lines"]]
    lines = [line for line in first if line[0] != "system"]
    assert lines[0][0] == "user", "the instructions are apart"
    assert QUESTION in lines[0][1]
    assert lines[-1][0] == "assistant"
    assert ANSWER in lines[-1][1]


def test_the_list_shows_what_the_user_asked_first(stored: Mapping[str, list[Session]]) -> None:
    """Beside the name, so that an agent's conversations differ."""
    (session,) = stored["langfuse_python"]
    assert session.summary["preview"] == "What is the weather in Oslo?"


def test_a_call_has_the_tools_that_only_its_log_record_defines(
    stored: Mapping[str, list[Session]],
) -> None:
    """Definitions are in the details of a call, whose other attributes its span has: no note."""
    (session,) = stored["opentelemetry_google_genai"]
    calls = [event for event in session.events if event["event_type"] == "model"]
    assert [event["config"]["tools"][0]["name"] for event in calls] == ["weather", "weather"]
    assert not any("logs" in event["metadata"] for event in calls)


def test_each_program_has_its_recording_and_its_place_in_the_documentation() -> None:
    """The lines of configuration in the documentation are those of the program that ran."""
    recorded = {path.stem for path in RECORDED.glob("*.json")}
    assert recorded == {producer.name for producer in PRODUCERS}
    page = (PROGRAMS.parent.parent / "docs" / "producers.md").read_text()
    listings = {producer.program for producer in PRODUCERS if f"/{producer.program}:setup" in page}
    assert listings == {producer.program for producer in PRODUCERS}
