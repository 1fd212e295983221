"""The tree and the waterfall in a real browser: deep, long and short sessions, errors, usage."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from support.browser import MARKS, Page, eventually
from support.records import T0, event, id_of, record, session_end, write
from support.server_process import Served, serving

from sessiontrace.model.ids import new_id
from sessiontrace.model.record import END, EVENT, Record

pytestmark = MARKS

Stored = dict[str, tuple[str, list[str]]]


def _deep(sid: str) -> list[Record]:
    """A chain of 60 steps, two of which fail."""
    steps: list[Record] = []
    for n in range(60):
        above = {"parent_id": id_of(steps[-1])} if steps else {}
        error = {"error": "ValueError: no"} if n in (20, 50) else {}
        steps.append(event(sid, T0 + n, 200 - n, event_name=f"level {n + 1}", **above, **error))
    return steps


def _many(sid: str) -> list[Record]:
    return [
        event(sid, T0 + n * 20, 15, event_name=f"fetch page {n}", inputs={"url": f"/{n}"})
        for n in range(2000)
    ]


def _short(sid: str) -> list[Record]:
    """Two steps within half a millisecond."""
    first = {"session_id": sid, "parent_id": sid, "event_type": "tool", "inputs": {}}
    times = [(100_000, 0.25), (350_000, 0.05)]
    return [
        record(EVENT, event_id=new_id(), event_name=f"s{nanos}", start_time=T0, start_nanos=nanos,
               end_time=T0, duration=took, **first)
        for nanos, took in times
    ]  # fmt: skip


def _used(sid: str) -> list[Record]:
    """A plan with two calls of models, one without a price."""
    plan = event(sid, T0, 400, event_type="chain", event_name="plan")
    call = {"parent_id": id_of(plan), "event_type": "model"}
    return [
        plan,
        event(sid, T0 + 1, 100, event_name="think", config={"model": "gpt-5"},
              metadata={"total_tokens": 1200, "cost": 0.25}, **call),
        event(sid, T0 + 200, 100, event_name="chat o9", config={"model": "o9"},
              metadata={"total_tokens": 30}, **call),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, Stored]]:
    """One server for the module, and for each session its id and those of its steps."""
    db = tmp_path_factory.mktemp("tree") / "store.db"
    ids: Stored = {}
    for name, made, took in (
        ("deep", _deep, 260), ("many", _many, 40_100), ("short", _short, 0.5), ("used", _used, 400),
    ):  # fmt: skip
        sid = new_id()
        steps = made(sid)
        whole = orjson.loads(session_end(sid, T0, int(took), event_name=name).body)
        head = record(END, **{**whole, "duration": took})
        write(db, head, *steps)
        ids[name] = (sid, [id_of(step) for step in steps])
    with serving(db) as server:
        yield server, ids


@pytest.fixture
def session(browser: Any, stored: tuple[Served, Stored]) -> Iterator[Any]:
    """Opens a session by its name, at one of its steps if wanted."""
    server, ids = stored
    page = Page(browser, server)
    page.size(1440)
    page.complaints()

    def opened(name: str, step: int | None = None) -> tuple[Page, list[str]]:
        sid, steps = ids[name]
        page.driver.get("about:blank")  # else only the fragment of the address changes
        page.open(f"/sessions/{sid}" + ("" if step is None else f"#{steps[step]}"))
        eventually(lambda: page.count(".step") == len(steps) + 1)
        return page, steps

    yield opened
    page.run("localStorage.clear()")
    assert page.leave() == []


PLACES = """
const row = document.querySelector(`[data-id="${arguments[0]}"]`);
const box = (node) => {
  const {left, top, right, bottom} = node.getBoundingClientRect();
  return [left, top, right, bottom];
};
return {name: box(row.querySelector('.name')), who: box(row.querySelector('.who')),
        axis: box(document.querySelector('.axis')), height: innerHeight,
        page: document.documentElement.scrollWidth, width: innerWidth};
"""


def is_shown(page: Page, step: str) -> bool:
    """Whether the name of a step is to be seen, below the axis and within its column."""
    at = page.run(PLACES, step)
    (left, top, _, bottom), (who_left, _, who_right, _) = at["name"], at["who"]
    return bool(
        at["axis"][3] <= top
        and bottom <= at["height"]
        and who_left <= left
        and left + 40 <= who_right
        and at["page"] <= at["width"]
    )


@pytest.mark.parametrize("width", [1440, 1024, 768, 390])
def test_sixty_levels_can_be_read(session: Any, width: int):
    """A link to the deepest step shows its name; the keys go up, and the names come along."""
    page, steps = session("deep", 59)
    page.size(width)
    page, steps = session("deep", 59)
    eventually(lambda: is_shown(page, steps[59]))
    page.run("document.querySelector('[aria-selected]').focus({preventScroll: true})")
    for level in (58, 57, 56):
        page.press(Keys.ARROW_UP)
        eventually(lambda at=level: is_shown(page, steps[at]))
    page.press(Keys.HOME)
    eventually(lambda: page.run("return document.querySelector('.slider').scrollLeft") < 30)
    page.run("document.querySelector('.slider').scrollLeft = 200")
    eventually(
        lambda: (
            page.run(
                "return document.querySelector('.waterfall').style.getPropertyValue('--shift')"
            )
            != "0px"
        )
    )


def test_a_link_to_a_step_scrolls_to_it(session: Any):
    """Step 1500 of 2000 is on the screen, and selected; nothing moves when it is drawn again."""
    page, steps = session("many", 1500)
    eventually(lambda: is_shown(page, steps[1500]))
    assert page.one('[aria-selected="true"]').get_attribute("data-id") == steps[1500]
    page.run("window.scrollTo(0, 0)")
    page.until(".detail h2", ["fetch page 1500"])
    assert page.run("return window.scrollY") == 0


def test_a_link_to_a_step_that_is_not_there_says_so(session: Any):
    """The step may be of another session, or has not arrived: nothing else passes for it."""
    page, _ = session("used")
    address = page.driver.current_url
    page.driver.get("about:blank")
    page.driver.get(f"{address}#nowhere")
    page.see("p.warning")
    page.click(".step .name", 1)
    eventually(lambda: not page.one("p.warning").is_displayed())


def test_find_goes_to_what_it_finds_and_reads_what_is_shown(session: Any):
    """Enter and Shift+Enter go through the hits, which are seen; keys and types are no hits."""
    page, steps = session("many")
    page.press("/")
    page.press("fetch page 15")
    page.until(".finder [role=status]", ["111 steps, Enter for the next"])
    page.press(Keys.ENTER, Keys.ENTER)
    page.until(".finder [role=status]", ["2 of 111"])
    eventually(lambda: page.driver.current_url.endswith(steps[150]))
    assert is_shown(page, steps[150])
    assert page.run("return document.activeElement.matches('.finder input')")
    assert page.run("return document.activeElement.getBoundingClientRect().top") > 40
    ActionChains(page.driver).key_down(Keys.SHIFT).send_keys(Keys.ENTER).key_up(
        Keys.SHIFT
    ).perform()
    page.until(".finder [role=status]", ["1 of 111"])
    eventually(lambda: is_shown(page, steps[15]))
    page.press(Keys.CONTROL + "a", "event_id")
    page.until(".finder [role=status]", ["No step contains this text"])


def test_all_folds_and_unfolds_and_errors_are_found_inside(session: Any):
    """Collapse all, go to the next error by its key, and show the errors alone."""
    page, steps = session("deep")
    page.click(".tree-tools button", 1)
    eventually(lambda: page.count(".step") == 2)
    page.run("document.querySelector('.step').focus()")
    page.press("e")
    page.until(".detail h2", ["level 21"])
    assert is_shown(page, steps[20])
    page.press("e")
    page.until(".detail h2", ["level 51"])
    page.press("E")
    page.until(".detail h2", ["level 21"])
    page.click(".tree-tools button", 0)
    eventually(lambda: page.count(".step") == 61)
    page.click(".errors-tools button", 0)
    eventually(lambda: page.count(".step") == 52)
    page.click(".errors-tools button", 1)
    page.until(".detail h2", ["level 51"])


def test_the_columns_can_be_resized_and_stay_so(session: Any):
    """By the keyboard and by the mouse; the browser keeps the width."""
    page, _ = session("used")
    width = "return document.querySelector('.axis-name').offsetWidth"
    before = page.run(width)
    page.run("document.querySelector('.waterfall > .splitter').focus()")
    page.press(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert page.run(width) == pytest.approx(before + 48, abs=3)
    line = page.one(".waterfall > .splitter")
    ActionChains(page.driver).drag_and_drop_by_offset(line, -90, 0).perform()
    assert page.run(width) == pytest.approx(before - 42, abs=3)
    page, _ = session("used")
    assert page.run(width) == pytest.approx(before - 42, abs=3)
    panel = "return document.querySelector('.detail').offsetWidth"
    wide = page.run(panel)
    page.run("document.querySelector('.split > .splitter').focus()")
    page.press(Keys.ARROW_LEFT)
    assert page.run(panel) == pytest.approx(wide + 24, abs=3)


def test_rows_have_tokens_cost_and_model(session: Any):
    """Of the call itself, and of a plan the sum below it; a call without a price says so."""
    page, _ = session("used")
    eventually(lambda: page.count(".step .tokens") == 4)
    assert [text.split()[0] for text in page.texts(".step .tokens")] == [
        "1,230", "1,230", "1,200", "30",
    ]  # fmt: skip
    assert page.texts(".step .cost") == [
        "$0.25 + 1 unpriced", "$0.25 + 1 unpriced", "$0.25", "unpriced",
    ]  # fmt: skip
    assert page.texts(".step .type") == ["session", "chain", "gpt-5", "model"]
    page.size(390)
    page.click(".use-switch")
    eventually(lambda: page.all(".step .tokens")[3].is_displayed())
    assert not page.all(".step .lane")[3].is_displayed()


def test_times_are_exact_below_a_millisecond(session: Any):
    """Bars of a session of 500 µs stand where their nanoseconds say, and within the session."""
    page, _ = session("short")
    page.until(".step .took", ["500 µs", "250 µs", "50 µs"])
    bars = page.run(
        "return [...document.querySelectorAll('.step .bar')].map("
        "bar => [parseFloat(bar.style.left), parseFloat(bar.style.width)])"
    )
    for bar, (left, wide) in zip(bars, [(0, 100), (20, 50), (70, 10)], strict=True):
        assert bar == [pytest.approx(left, abs=0.2), pytest.approx(wide, abs=0.2)]
    page.click(".step", 1)
    page.until(".detail .facts div:nth-child(2) dd", ["100 µs in"])


def test_back_closes_the_step_on_a_phone(session: Any):
    """An open step is an entry of the history; Back shows the rows, and once more the list."""
    page, _ = session("used")
    page.size(390)
    page.click(".step", 2)
    page.see(".detail.up h2")
    page.driver.back()
    eventually(lambda: not page.one(".detail").is_displayed())
    assert page.one(".step .name").is_displayed()
    page.click(".step", 1)
    page.see(".detail.up h2")
    page.click(".detail .close")
    eventually(lambda: not page.one(".detail").is_displayed())
