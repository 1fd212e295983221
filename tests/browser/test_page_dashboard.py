"""The dashboard as a reader uses it: what it answers, in how many actions, and for whom."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select
from support.axe import axe_source, faults
from support.browser import MARKS, Page, eventually
from support.records import event, session_end, write
from support.server_process import Served, serving

from sessiontrace.model.ids import new_id

pytestmark = MARKS

HOUR = 3_600_000
NAMES = "tbody .c-name a"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Two weeks of sessions: today they take longer, and most of the cost is one model's."""
    db = tmp_path_factory.mktemp("dashboard") / "store.db"
    now = time.time_ns() // 10**6
    records = []
    for hours, took, model, cost in (
        (1, 9_000, "gpt-5", 0.5), (2, 8_000, "mini", 0.01), (3, 7_000, "mini", 0.02),
        (30, 1_000, "gpt-5", 0.6), (31, 2_000, "mini", 0.01), (100, 500, "sonnet", 0.9),
        (200, 500, "sonnet", 5.0),
    ):  # fmt: skip
        sid, at = new_id(), now - hours * HOUR
        failed = {"error": "TimeoutError: slow"} if hours == 2 else {}
        records += [
            session_end(sid, at, took, event_name=f"{model} {hours}", **failed,
                        user_properties={"user_id": "ada"}, metadata={"tags": ["vip"]}),
            event(sid, at, took // 2, event_type="model", config={"model": model},
                  metadata={"total_tokens": 50, "cost": cost},
                  metrics={"time_to_first_chunk_ms": 120}, **failed),
        ]  # fmt: skip
    write(db, *records)
    with serving(db) as served:
        yield served


@pytest.fixture
def page(browser: Any, server: Served) -> Iterator[Page]:
    shown = Page(browser, server)
    shown.size(1440)
    shown.scheme("")
    shown.complaints()  # of an earlier test that failed
    yield shown
    assert shown.leave() == []


def tile(page: Page, name: str) -> Any:
    """The tile of a figure, when it is there."""
    return eventually(lambda: [one for one in page.all(".tile") if one.text.startswith(name)])[0]


def test_which_model_costs_most_this_week_takes_one_action(page: Page):
    """From the list: a click on Dashboard. Its first line is the model, with its cost."""
    page.open("/")
    page.see(NAMES)
    page.click("a.go")
    page.see(".breakdown tbody th a")
    names = page.texts(".breakdown tbody th a")
    assert names == ["gpt-5", "sonnet", "mini"], "the greater cost of the week before is not here"
    assert page.texts(".breakdown .col-cost")[1].startswith("$1.10")


def test_whether_p95_is_worse_since_yesterday_takes_two_actions(page: Page):
    """From the list: Dashboard, and the last 24 hours. The figure says how it changed, in words
    too.
    """
    page.open("/")
    page.see(NAMES)
    page.click("a.go")
    tile(page, "Latency p95")
    Select(page.one('select[aria-label="Time range"]')).select_by_visible_text("Last 24 hours")
    eventually(lambda: "9.00 s" in tile(page, "Latency p95").text)
    assert "▲ 350 %" in tile(page, "Latency p95").text
    assert page.run(
        "return arguments[0].querySelector('.change.worse').textContent",
        tile(page, "Latency p95"),
    ) == "▲ 350 % (more than before: 2.00 s in the 24 h 00 min before)"  # fmt: skip
    assert "last=86400000" in page.run("return location.search")


def test_bars_points_and_values_open_the_list_of_their_sessions(page: Page):
    """By keyboard from a bar, by a click from a dot, a value, and a tile."""
    page.open("/dashboard?last=86400000")
    page.see(".plot a.step")
    last = page.all(".over-time")[0].find_elements("css selector", "a.step")[-1]
    page.run("arguments[0].focus()", last)
    page.press(Keys.ENTER)
    page.until(NAMES, ["gpt-5 1"])
    page.driver.back()
    page.see(".breakdown tbody th a")
    page.click(".breakdown tbody th a", 1)
    page.until(NAMES, ["mini 2", "mini 3"])
    page.open("/dashboard?last=86400000&q=model:mini")
    tile(page, "With errors").click()
    page.until(NAMES, ["mini 2"])
    page.open("/dashboard?last=86400000")
    page.see(".with-lines .plot svg")
    page.run(
        "document.querySelector('.with-lines .plot a .point.p95').parentNode"
        ".dispatchEvent(new MouseEvent('click', {bubbles: true, cancelable: true}))"
    )
    page.until(NAMES, ["mini 3"])


def test_filters_of_the_list_come_along_and_are_in_the_address(page: Page):
    """The query goes to the dashboard and back; the breakdown is in the address too."""
    page.open("/?q=model%3Amini")
    page.see(NAMES)
    page.click("a.go")
    eventually(lambda: tile(page, "Sessions").text.split("\n")[1] == "3")
    page.click('[data-by="user"]')
    page.until(".breakdown tbody th a", ["ada"])
    assert page.run("return location.search") == "?q=model%3Amini&last=604800000&by=user"
    page.driver.refresh()
    page.until(".breakdown tbody th a", ["ada"])
    page.click("a.as-list")
    page.until(NAMES, ["mini 2", "mini 3", "mini 31"])


def test_the_focus_stays_where_it_is_when_the_figures_are_drawn_again(page: Page):
    """A reader on a bar or a value goes on from there."""
    page.open("/dashboard")
    page.see(".breakdown tbody th a")
    page.run("document.querySelectorAll('.breakdown tbody th a')[1].focus()")
    page.run("document.querySelector('[data-by=name]').click()")
    page.until(".breakdown thead th:first-child", ["Name"])
    assert page.run("return document.activeElement.closest('tbody') !== null")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_the_dashboard_passes_the_checker(page: Page, scheme: str, width: int):
    """axe finds nothing, also in the charts' tables."""
    page.scheme(scheme)
    page.size(width)
    page.open("/dashboard?last=86400000")
    tile(page, "Sessions")
    page.see(".breakdown tbody th a")
    page.run("document.querySelectorAll('.as-table').forEach(one => { one.open = true; })")
    assert faults(page, axe_source()) == []


def test_the_dashboard_fits_every_window(page: Page):
    """Nothing makes the page scroll sideways, whatever its width."""
    page.open("/dashboard")
    page.see(".breakdown tbody th a")
    for width in (1440, 1024, 768, 390):
        page.size(width)
        eventually(partial(page.run, f"return innerWidth === {width}"))
        assert page.run("return document.documentElement.scrollWidth - innerWidth") <= 0, width
