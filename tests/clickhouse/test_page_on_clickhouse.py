"""The page in a real browser, over ClickHouse, let in with an API key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.browser import MARKS, Page, chromium
from support.records import T0, event, id_of, session_end, session_start
from support.server_process import serving

from sessiontrace.model.ids import new_id, now_ns
from sessiontrace.store import api_keys
from sessiontrace.store.clickhouse.store import ClickHouseStore
from sessiontrace.store.models import DEFAULT_PROJECT

pytestmark = MARKS


@pytest.fixture
def page(engine, clickhouse: ClickHouseStore, tmp_path: Path) -> Iterator[Page]:
    """The page of this test's project; its reader has shown a key that may read and judge."""
    line = engine.line()
    key = api_keys.add(
        ClickHouseStore(line, DEFAULT_PROJECT), "page", clickhouse.project, api_keys.BOTH
    ).reveal()
    line.close()
    driver: Any = chromium(tmp_path / "browser")
    try:
        with serving(tmp_path / "unused.db", "--keys", store=engine.url()) as server:
            shown = Page(driver, server)
            shown.size(1400)
            shown.open(f"/#token={key}")
            yield shown
            driver.get("about:blank")
    finally:
        driver.quit()


def test_the_page_lists_searches_opens_and_follows(page: Page, clickhouse: ClickHouseStore):
    """The reader's whole way, in one visit: as over the file, and nothing is complained of."""
    page.until(".note h2", ["No sessions yet"])
    sid = new_id()
    plan = event(sid, T0, 400, event_type="chain", event_name="plan")
    think = event(
        sid, T0 + 100, 300, parent_id=id_of(plan), event_type="model", event_name="think",
        inputs={"chat_history": [{"role": "user", "content": "Where is my order?"}]},
        outputs={"role": "assistant", "content": "On its way."}, metadata={"total_tokens": 42},
    )  # fmt: skip
    told = {"type": "TimeoutError", "message": "no answer"}
    failed = event(
        sid, T0 + 500, 200, event_name="fetch", error="TimeoutError: no answer",
        metadata={"error": told},
    )  # fmt: skip
    user = {"user_id": "ada"}
    clickhouse.write([session_end(sid, user_properties=user), plan, think, failed])
    page.until("tbody .c-name a", ["chat"])  # by itself: somebody else has written
    assert page.texts("tbody .c-user") == ["ada"]
    assert page.texts("tbody .c-steps") == ["3"]
    assert page.texts("tbody .c-errors") == ["1"]
    assert page.texts("tbody .c-tokens") == ["42"]

    other = new_id()
    clickhouse.write([session_start(other, now_ns() // 10**6, event_name="open one")])
    page.until("tbody .c-name a", ["open one", "chat"])
    page.one("input[type=search]").send_keys("order")
    page.until("tbody .c-name a", ["chat"])

    page.click("tbody .c-name a")
    page.until(".step .name", ["chat", "plan", "think", "fetch"])
    page.click(f'[data-id="{id_of(failed)}"]')
    page.until(".detail section.failure p", ["TimeoutError\nno answer"])
    clickhouse.write([event(sid, T0 + 900, 50, event_name="again")])
    page.until(".step .name", ["chat", "plan", "think", "fetch", "again"])
    assert page.complaints() == []
