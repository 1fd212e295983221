"""The typed clients against the local server: what one writes the other gives back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.server_process import Served, serving

from sessiontrace.clients import (
    Filter,
    HoneyHive,
    Humanloop,
    NotFoundError,
    PostHog,
    RequestError,
    ValidationError,
)
from sessiontrace.model.ids import new_id

pytestmark = pytest.mark.contract

MODEL = {"type": "model", "model": "gpt-9"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("served") / "store.db") as served:
        yield served


@pytest.mark.asyncio
async def test_honeyhive_start_add_update_search(served: Served) -> None:
    """A session is started twice and stays one; its events are found and changed."""
    session_id, event_id = new_id(), new_id()
    async with HoneyHive("hh_key", served.url) as client:
        first = await client.sessions.start(
            session_id=session_id,
            session_name="chat",
            metadata={"a": 1},
            start_time=1_790_000_000_000,
        )
        again = await client.sessions.start(session_id=session_id, metadata={"b": 2})
        assert first.session_id == again.session_id == session_id
        assert await client.sessions.add_events(
            session_id,
            [{"event_type": "tool", "inputs": {"q": 1}, "event_id": event_id, "event_name": "x"}],
        )
        await client.events.update(event_id, feedback={"ok": True}, outputs={"r": 2})
        event = await client.events.get(event_id)
        assert (event.inputs, event.outputs, event.feedback) == ({"q": 1}, {"r": 2}, {"ok": True})
        mine = [Filter("session_id", "is", session_id)]
        found = [one async for one in client.events.search(mine, page_size=1)]
        assert {one.event_id for one in found} == {session_id, event_id}
        whole = await client.events.get(session_id)
        assert whole.metadata["a"] == 1
        assert whole.metadata["b"] == 2
        with pytest.raises(NotFoundError):
            await client.events.get(new_id())


@pytest.mark.asyncio
async def test_humanloop_sessions_logs_feedback_projects(served: Served) -> None:
    """Created, logged into, listed by project, updated by either id, deleted."""
    async with Humanloop("hl_key", served.url) as client:
        session = await client.sessions.create()
        parent = await client.logs.create(
            project="clients", config=MODEL, session_id=session.id, reference_id="ref-parent",
            inputs={"q": "why?"},
        )  # fmt: skip
        children = await client.logs.create_many(
            [
                {
                    "project": "clients",
                    "config": {"type": "tool", "name": "look"},
                    "session_id": session.id,
                    "parent_reference_id": "ref-parent",
                    "output": f"found {number}",
                    "duration": 0.5,
                }
                for number in range(3)
            ]
        )
        await client.logs.update_by_reference("ref-parent", output="so", duration=1.5)
        await client.logs.update(children[0].id, output="changed")
        await client.feedback.create(type="rating", value="good", data_id=parent.id)
        log = await client.logs.get(parent.id)
        assert (log.output, log.duration, log.session_id) == ("so", 1.5, session.id)
        assert [one.value for one in log.feedback] == ["good"]
        assert (await client.logs.get(children[0].id)).output == "changed"
        projects = [one async for one in client.projects.list() if one.name == "clients"]
        assert len(projects) == 1
        logs = [one.id async for one in client.logs.list(projects[0].id, size=2)]
        assert set(logs) == {parent.id, *(one.id for one in children)}
        listed = [one.id async for one in client.sessions.list(projects[0].id, size=1)]
        assert listed == [session.id]
        assert (await client.sessions.get(session.id)).datapoints_count == 4
        await client.logs.delete(children[2].id)
        with pytest.raises(NotFoundError):
            await client.logs.get(children[2].id)
        with pytest.raises(ValidationError) as caught:
            await client.sessions._call("GET", "/sessions")
        assert caught.value.detail[0].loc == ("query", "project_id")


@pytest.mark.asyncio
async def test_posthog_definitions_and_values(served: Served) -> None:
    """What sessions of the store have, and the words for a key that is missing."""
    async with HoneyHive("hh_key", served.url) as client:
        await client.sessions.start(session_name="known", user_properties={"user_id": "ada"})
    async with PostHog("phx_key", served.url) as asking:
        found = {one.name: one for one in await asking.sessions.property_definitions()}
        assert found["$session_duration"].is_numerical
        assert "known" in list(await asking.sessions.values("name"))
        with pytest.raises(RequestError, match="Key not provided"):
            await asking.sessions.values("")
