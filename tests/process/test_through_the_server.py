"""Our own SDK through each vendor's API of the local server: the same sessions come out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import subprocesses
from support.records import eventually
from support.server_process import Served, serving

pytestmark = pytest.mark.slow

PROGRAM = """
    import json, sys
    import sessiontrace as st

    st.init({target}, service="through")
    with st.session("support", user="ada", inputs={{"question": "why"}}) as session:
        with st.span("answer", type="chain") as outer:
            with st.span("think", type="model", config={{"model": "gpt-x"}},
                         inputs={{"chat_history": [{{"role": "user", "content": "why"}}]}}) as call:
                call.set(outputs={{"role": "assistant", "content": "so"}},
                         metadata={{"prompt_tokens": 3, "completion_tokens": 1}})
            try:
                with st.span("look_up", type="tool", inputs={{"w": 1}}):
                    raise TimeoutError("no answer")
            except TimeoutError:
                pass
        session.set(outputs={{"answer": "so"}})
    report = st.flush(timeout=10)
    st.shutdown()
    print(session.session_id if hasattr(session, "session_id") else session.id)
"""

TARGETS = {
    "honeyhive": 'st.HoneyHive(api_key="hh_x", base_url="{url}")',
    "humanloop": 'st.Humanloop(api_key="hl_x", base_url="{url}/v4")',
    "humanloop v5": 'st.Humanloop(api_key="hl_x", base_url="{url}/v5", version=5)',
    "posthog": 'st.PostHog(api_key="phc_x", base_url="{url}")',
    "otlp": 'st.OTLP(endpoint="{url}")',
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("through") / "store.db") as served:
        yield served


@pytest.mark.parametrize("vendor", TARGETS)
def test_a_session_comes_through(tmp_path: Path, server: Served, vendor: str):
    """One session, three steps, one error, the same tree, whichever API it took."""
    target = TARGETS[vendor].format(url=server.url)
    done = subprocesses.run(PROGRAM.format(target=target), tmp_path)
    sid = done.stdout.split()[-1]

    def arrived() -> Any:
        status, _, body = server.request(f"/api/sessions/{sid}")
        found = json.loads(body)
        return found if status == 200 and found["session"]["events"] >= 3 else None

    shown = eventually(arrived)
    one = shown["session"]
    assert (one["name"], one["events"], one["errors"], one["models"], one["status"]) == (
        "support", 3, 1, 1, "ended",
    )  # fmt: skip
    steps = {step["name"]: step for step in shown["events"]}
    assert {name: step["type"] for name, step in steps.items()} == {
        "answer": "chain", "think": "model", "look_up": "tool",
    }  # fmt: skip
    assert steps["answer"]["parent_id"] == sid
    assert (
        steps["think"]["parent_id"]
        == steps["look_up"]["parent_id"]
        == (steps["answer"]["event_id"])
    )
    assert "no answer" in steps["look_up"]["error"]
    model = server.json(f"/api/events/{steps['think']['event_id']}")
    assert model["config"]["model"] == "gpt-x"
    assert model["inputs"]["chat_history"] == [{"role": "user", "content": "why"}]
    assert model["outputs"]["content"] == "so"
    assert one["tokens"] == 4
    if vendor != "humanloop v5":
        assert one["user"] == "ada"
