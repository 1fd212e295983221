"""The browser that the page's tests share, and what it is shown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.browser import Page, chromium
from support.records import T0, event, id_of, session_end, write
from support.server_process import serving

from sessiontrace.model.ids import new_id


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    driver = chromium(tmp_path_factory.mktemp("browser"))
    yield driver
    driver.quit()


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def page(browser: Any, db: Path) -> Iterator[Page]:
    with serving(db) as server:
        shown = Page(browser, server)
        shown.size(1400)
        shown.scheme("")
        shown.complaints()  # of an earlier test that failed
        yield shown
        assert shown.leave() == []


@pytest.fixture
def agent(db: Path) -> dict[str, str]:
    """An agent's session: a plan with a model call, a tool that fails, its retry."""
    sid = new_id()
    plan = event(sid, T0, 400, event_type="chain", event_name="plan")
    think = event(
        sid, T0 + 100, 300, parent_id=id_of(plan), event_type="model", event_name="think",
        inputs={"chat_history": [{"role": "user", "content": "Where is my order?"}]},
        outputs={"role": "assistant", "content": "On its way."},
    )  # fmt: skip
    failed = event(
        sid, T0 + 500, 200, event_name="fetch", error="TimeoutError: no answer",
        metadata={"error": {"type": "TimeoutError", "message": "no answer", "stack": "a.py:1"}},
    )  # fmt: skip
    again = event(sid, T0 + 750, 50, event_name="fetch", inputs={"id": 4711})
    user = {"user_id": "ada"}
    write(db, session_end(sid, took=1000, user_properties=user), plan, think, failed, again)
    return {
        "sid": sid, "plan": id_of(plan), "think": id_of(think),
        "failed": id_of(failed), "again": id_of(again),
    }  # fmt: skip
