"""Finding a session on the page: query, completion, order, address, saved views, and widths."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from selenium.webdriver.common.keys import Keys
from support.browser import MARKS, Page, eventually
from support.records import event, session_end, write
from support.server_process import Served, serving

from sessiontrace.model.ids import new_id, session_uuid

pytestmark = MARKS

OWN_ID = "conv-ada-7"
NAMES = "tbody .c-name a"
HOUR = 3_600_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A store with one conversation that goes on, one slow session, one that failed, and others."""
    db = tmp_path_factory.mktemp("finding") / "store.db"
    now = time.time_ns() // 10**6
    slow, failed, talk = new_id(), new_id(), session_uuid(OWN_ID)
    turn = {"metadata": {"session_id": OWN_ID}, "event_name": "talk"}
    ada = {"user_properties": {"user_id": "ada"}, "source": "production"}
    write(
        db,
        session_end(talk, now - 72 * HOUR, 1000, event_id=new_id(), **turn),
        session_end(talk, now - 5_000, 1000, event_id=new_id(), **turn),
        session_end(slow, now - 60_000, 20_000, event_name="slow", metadata={"tags": ["vip"]},
                    **ada),
        event(slow, now - 60_000, event_type="model", config={"model": "gpt-5"},
              metadata={"total_tokens": 50, "cost": 0.5}),
        session_end(failed, now - 120_000, 1_000, event_name="broken", error="TimeoutError: slow",
                    metadata={"tags": ["vip"]}, **ada),
        session_end(new_id(), now - 3 * HOUR, 10, event_name="quick", source="staging",
                    user_properties={"user_id": "grace hopper"}),
    )  # fmt: skip
    with serving(db) as served:
        yield served


ALL = ["talk", "slow", "broken", "quick"]


@pytest.fixture
def page(browser: Any, server: Served) -> Iterator[Page]:
    shown = Page(browser, server)
    shown.size(1440)
    shown.scheme("")
    shown.complaints()  # of an earlier test that failed
    yield shown
    shown.driver.get(f"{server.url}/page/icon.svg")
    shown.run("localStorage.clear()")


def address(page: Page) -> str:
    """The part of the address behind the path."""
    return str(page.run("return decodeURIComponent(location.search.replaceAll('+', ' '))"))


def query(page: Page, text: str) -> None:
    box = page.one('input[type="search"]')
    box.send_keys(Keys.CONTROL + "a")
    box.send_keys(text)


def test_the_session_whose_id_my_own_log_holds_is_found(page: Page):
    """By search, by the address, and by the start of our id; the address then has our id."""
    page.open()
    page.until(NAMES, ALL)
    query(page, OWN_ID)
    page.until(NAMES, ["talk"])
    query(page, session_uuid(OWN_ID)[:9])
    page.until(NAMES, ["talk"])
    page.open(f"/sessions/{OWN_ID}")
    page.until(".head h1", ["talk"])
    eventually(lambda: page.driver.current_url.endswith(f"/sessions/{session_uuid(OWN_ID)}"))


def test_an_address_that_leads_nowhere_says_so(page: Page):
    """A link that was cut on its way; the page, not JSON, and a way on."""
    for path in ("/sessions", "/users/", "/compare/x"):
        page.open(path)
        page.until(".note h1", ["Page not found"])
    page.click(".note a")
    page.until(NAMES, ALL)
    page.complaints()  # of the answers 404


def test_filters_and_order_are_in_the_address_and_survive_a_reload(page: Page):
    """A link that one sends shows what one saw; the way back from a session does too."""
    page.open()
    page.until(NAMES, ALL)
    query(page, "user:ada tag:vip -status:failed ")
    page.until(NAMES, ["slow"])
    assert address(page) == "?q=user:ada tag:vip -status:failed"
    query(page, "tag:vip ")
    page.until(NAMES, ["slow", "broken"])
    page.click("th.c-cost .sort")
    page.click("th.c-cost .sort")
    page.until(NAMES, ["broken", "slow"])
    assert address(page) == "?q=tag:vip&sort=cost&dir=asc"
    assert page.one("th.c-cost").get_attribute("aria-sort") == "ascending"
    page.driver.refresh()
    page.until(NAMES, ["broken", "slow"])
    assert page.one('input[type="search"]').get_attribute("value") == "tag:vip"
    page.click(NAMES)
    page.until(".head h1", ["broken"])
    page.driver.back()
    page.until(NAMES, ["broken", "slow"])
    focused = "return document.activeElement.textContent"
    eventually(lambda: page.run(focused) == "broken")
    page.press(Keys.ENTER)
    page.until(".head h1", ["broken"])
    page.press(Keys.ESCAPE)
    page.until(NAMES, ["broken", "slow"])
    assert address(page) == "?q=tag:vip&sort=cost&dir=asc"


def test_the_way_back_from_a_comparison_keeps_the_filters(page: Page):
    """By Escape and by the link above the page."""
    page.open("/?q=tag:vip")
    for way in (lambda: page.press(Keys.ESCAPE), lambda: page.click("#crumbs a")):
        page.until(NAMES, ["slow", "broken"])
        for box in page.all("tbody .c-pick input"):
            if not box.is_selected():
                box.click()
        page.click("button.compare")
        page.see(".pairs")
        way()
    page.until(NAMES, ["slow", "broken"])
    assert address(page).startswith("?q=tag:vip")


def test_what_is_not_understood_is_said_with_what_to_write(page: Page):
    """A list that is empty without a word leaves one to guess."""
    page.open("/?q=tag:vip+usr:ada")
    page.until(".query-fault span", ["there is no filter 'usr'; did you mean 'user'?"])
    assert page.texts(".query-fault code") == ["usr:ada"]
    assert page.one('input[type="search"]').get_attribute("aria-invalid") == "true"
    page.click(".query-fault .quiet")
    page.until(NAMES, ["slow", "broken"])
    assert address(page) == "?q=tag:vip user:ada"
    assert not page.one(".query-fault").is_displayed()
    query(page, "cost:much ")
    page.see(".query-fault")
    assert page.texts(NAMES) == ["slow", "broken"], "the rows stay while one types"
    page.complaints()  # of the answers 400


def test_keys_and_values_are_completed_with_the_keyboard(page: Page):
    """What there is to filter by is offered, not known by heart."""
    page.open()
    page.until(NAMES, ALL)
    page.press("/")
    page.see("#completions li")
    assert "user:" in page.texts("#completions b")
    page.press("us")
    page.until("#completions b", ["user:"])
    page.press(Keys.ARROW_DOWN, Keys.ENTER)
    page.until("#completions b", ["ada", "grace hopper"])
    page.press(Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.TAB)
    page.until(NAMES, ["quick"])
    assert address(page) == '?q=user:"grace hopper"'
    active = "return document.activeElement.getAttribute('aria-expanded')"
    page.press(Keys.ESCAPE)
    assert page.run(active) == "false", "Escape closes the list first"
    page.press(Keys.ESCAPE)
    page.until(NAMES, ALL)


def test_a_click_on_a_value_filters_by_it(page: Page):
    """User, source and status of a row; the same on a session."""
    page.open()
    page.until(NAMES, ALL)
    page.click("tbody .c-user .value")
    page.until(NAMES, ["slow", "broken"])
    page.click("tbody tr.failed .c-status .value")
    page.until(NAMES, ["broken"])
    assert address(page) == "?q=user:ada status:failed"
    page.click(NAMES)
    page.until(".head h1", ["broken"])
    page.driver.find_element("link text", "vip").click()
    page.until(NAMES, ["slow", "broken"])
    assert address(page) == "?q=tag:vip"


def test_a_time_range_is_a_preset_or_ones_own(page: Page):
    """By the last activity: the conversation of three days ago is of this hour."""
    page.open("/?last=3600000")
    page.until(NAMES, ["talk", "slow", "broken"])
    day = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(time.time() - 2 * 3600))
    page.open("/")
    page.until(NAMES, ALL)
    page.run(
        "const select = document.querySelector('[aria-label=\"Time range\"]');"
        "select.value = 'custom'; select.dispatchEvent(new Event('change'));"
        "const to = document.querySelector('[aria-label=To]');"
        "to.value = arguments[0]; to.dispatchEvent(new Event('change'))",
        day,
    )
    page.until(NAMES, ["quick"])
    page.driver.refresh()
    page.until(NAMES, ["quick"])
    assert page.one("[aria-label=To]").get_attribute("value") == day
    page.click(".toggle.span")
    page.until(NAMES, ALL)


def test_a_view_is_saved_under_a_name(page: Page):
    """What one looks at each morning; it is there after a reload, and can be removed."""
    page.open("/?q=tag:vip&sort=duration")
    page.until(NAMES, ["slow", "broken"])
    page.click(".views summary")
    page.one(".save-view input").send_keys("slow <b>ones</b>", Keys.ENTER)
    page.until(".views .view", ["slow <b>ones</b>"])
    page.open("/")
    page.until(NAMES, ALL)
    page.click(".views summary")
    page.click(".views .view")
    page.until(NAMES, ["slow", "broken"])
    assert address(page) == "?q=tag:vip&sort=duration"
    page.click(".views summary")
    page.click(".views li .quiet")
    page.until(".views .view", [])


def test_names_can_be_read_at_every_width(page: Page):
    """The name is what one looks for; it must not be the column that gives way."""
    page.open()
    page.until(NAMES, ALL)
    for width in (1440, 1280, 1200, 1100, 1024, 900, 768, 390):
        page.size(width)
        assert page.run("return document.documentElement.scrollWidth") <= width, width
        name = "return document.querySelector('td.c-name').getBoundingClientRect().width"
        assert page.run(name) > 180, width
        right = (
            "return Math.max(...[...document.querySelectorAll('.toolbar > *')]"
            ".map(node => node.offsetLeft + node.offsetWidth))"
        )
        assert page.run(right) <= width, width


def test_a_phone_shows_what_a_session_used_and_compares(page: Page):
    """Steps, tokens and cost below the name; two sessions are picked as on a wide screen."""
    page.size(390)
    page.open()
    page.until(NAMES, ALL)
    steps = [text for text in page.texts("tbody .c-steps") if text]
    assert steps
    assert all(text.endswith("1 step" if text.split()[0] == "1" else "steps") for text in steps)
    assert any(text.endswith("tokens") for text in page.texts("tbody .c-tokens"))
    assert any(text.startswith("$") for text in page.texts("tbody .c-cost"))
    for box in page.all("tbody .c-pick input")[:2]:
        box.click()
    page.see("button.compare")
    assert page.run("return document.documentElement.scrollWidth") <= 390


def test_bars_are_reached_with_the_keyboard(page: Page):
    """One stop for Tab, arrows from bar to bar, Enter filters; no label is of the future."""
    page.open()
    page.until(NAMES, ALL)
    eventually(lambda: page.count(".chart .picks") >= 2)
    end = "document.querySelector('.chart .ends span:last-child').textContent"
    assert page.run(f"return Date.parse({end}) <= Date.now()")
    assert page.count('.chart .picks[tabindex="0"]') == 1
    page.run("document.querySelector('.chart .picks[tabindex=\"0\"]').focus()")
    page.press(Keys.HOME, Keys.ENTER)
    page.until(NAMES, ["quick"])
    eventually(lambda: "1 session\n" in page.texts(".chart figcaption")[0] + "\n")


def test_the_questions_that_one_comes_with_take_three_actions(page: Page):
    """Which sessions with a tag took over ten seconds; why did the latest one fail."""
    page.open()
    page.until(NAMES, ALL)
    query(page, "tag:vip duration:>10s ")
    page.until(NAMES, ["slow"])
    page.open()
    page.until(NAMES, ALL)
    page.click("tbody .c-status .s-error")
    page.until(NAMES, ["broken"])
    page.click(NAMES)
    page.until(".head .failure", ["TimeoutError: slow"])
