"""What axe-core, the checker that browsers' own tools use, finds wrong with each view: nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.axe import axe_source, faults
from support.browser import MARKS, Page
from support.records import T0, event, id_of, session_end, write
from support.server_process import serving

from sessiontrace.model.ids import new_id
from sessiontrace.store import loss_reports
from sessiontrace.store.sqlite.store import SqliteStore

pytestmark = MARKS


MARKDOWN = "# Title\n\n| a |\n|---|\n| `b` |\n\n```python\nx = 1\n```\n\n> [c](https://d.test)"
CALL = {"id": "c", "function": {"name": "find", "arguments": '{"q": "tea"}', "parameters": {}}}


@pytest.fixture(scope="module")
def axe() -> str:
    """The checker's source."""
    return axe_source()


@pytest.fixture
def two(db: Path) -> list[str]:
    """Two sessions that differ, one of them with an error and a score."""
    ids = [new_id(), new_id()]
    for n, sid in enumerate(ids):
        think = event(sid, T0 + 10, 50, event_type="model", event_name="think",
                      inputs={"chat_history": [{"role": "system", "content": "Be brief. " * 90},
                                               {"role": "user", "content": "Where is it?"}]},
                      outputs={"role": "assistant", "content": f"Here, {n}.\n\n{MARKDOWN}",
                               "reasoning": "It is here.", "tool_calls": [CALL]},
                      config={"model": "gpt-x", "tools": [CALL["function"]]},
                      metadata={"total_tokens": 12}, feedback={"rating": n})  # fmt: skip
        error = {"error": "TimeoutError: no answer"} if n else {}
        write(db, session_end(sid, T0 + n, event_name=f"run {n}"), think,
              event(sid, T0 + 70, 20, parent_id=id_of(think), **error))  # fmt: skip
    store = SqliteStore(db)
    store.write((), [loss_reports.report("p1", "shop", 4711, {"too_large": 2})])
    store.close()
    return ids


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 390])
def test_every_view_passes(page: Page, two: list[str], axe: str, scheme: str, width: int):
    """List, session, step and comparison; both schemes, both widths."""
    page.scheme(scheme)
    page.size(width)
    wrong: dict[str, list[str]] = {}

    def look(name: str, path: str, ready: str) -> None:
        page.open(path)
        page.see(ready)
        page.see(".loss")
        wrong[name] = faults(page, axe)

    look("list", "/", "tbody .c-name a")
    look("session", f"/sessions/{two[1]}", ".step .name")
    page.click(".step", 1)
    page.see(".chat .md table")
    page.run("document.querySelectorAll('.detail details').forEach(one => { one.open = true; })")
    wrong["step"] = faults(page, axe)
    look("comparison", f"/compare/{two[0]}/{two[1]}", ".pair .name")
    page.click("tr.pair", 0)
    page.see(".part h2")
    wrong["open comparison"] = faults(page, axe)
    page.see(".diff ins")
    look("sets", "/compare/sets?a=&b=status:failed", ".pairs.sets .name")
    look("missing session", f"/sessions/{new_id()}", ".note h1")
    page.leave()  # the browser tells of the 404, rightly
    assert [f"{name}: {fault}" for name, found in wrong.items() for fault in found] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_empty_page_passes(page: Page, axe: str, scheme: str):
    """What everyone sees first."""
    page.scheme(scheme)
    page.open()
    page.see(".welcome pre")
    assert faults(page, axe) == []


def test_the_login_passes(page: Page, axe: str, tmp_path: Path):
    """What everyone sees first of a server on another machine."""
    with serving(tmp_path / "other.db", "--token-file", str(tmp_path / "token")) as server:
        locked = Page(page.driver, server)
        locked.open()
        locked.see(".login [type=password]")
        assert faults(locked, axe) == []
        locked.leave()
