"""The page in a real browser: Debian's chromium, driven by selenium, against a real server."""

from __future__ import annotations

from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from support.browser import MARKS, Page, eventually
from support.records import T0, event, id_of, session_end, session_start, write

from sessiontrace.model.ids import new_id, now_ns

pytestmark = MARKS


def test_a_session_is_listed_and_opens_as_a_waterfall(page: Page, agent: dict[str, str]):
    """The way everyone goes first: list, session, the step that failed."""
    page.open()
    page.until("tbody .c-name a", ["chat"])
    assert page.texts("tbody .c-user") == ["ada"]
    assert page.texts("tbody .c-took") == ["1.00 s"]
    assert page.texts("tbody .c-steps") == ["4"]
    assert page.texts("tbody .c-errors") == ["1"]
    assert page.texts("tbody .c-status") == ["ended"]
    page.click("tbody .c-name a")
    page.until(".step .name", ["chat", "plan", "think", "fetch", "fetch"])
    assert page.texts(".step .type") == ["session", "chain", "model", "tool", "tool"]
    levels = [one.get_attribute("aria-level") for one in page.all(".step")]
    assert levels == ["1", "2", "3", "2", "2"]
    assert page.texts(".step .mark.bad") == ["error"]
    page.size(1400, 500)
    page.click(f'[data-id="{agent["failed"]}"]')
    page.until(".detail section.failure p", ["TimeoutError\nno answer"])
    assert page.run("return window.scrollY") == 0, "what is read must not move by a click"
    assert page.driver.current_url.endswith(f"/sessions/{agent['sid']}#{agent['failed']}")


def test_bars_stand_where_their_times_say(page: Page, agent: dict[str, str]):
    """A waterfall that is a little wrong is worse than none."""
    page.open(f"/sessions/{agent['sid']}")
    page.until(".step .name", ["chat", "plan", "think", "fetch", "fetch"])
    boxes = page.run(
        "return [...document.querySelectorAll('.step')].map(step => {"
        "  const lane = step.querySelector('.lane').getBoundingClientRect();"
        "  const bar = step.querySelector('.bar').getBoundingClientRect();"
        "  return [(bar.left - lane.left) / lane.width, bar.width / lane.width]; })"
    )
    expected = [(0, 1), (0, 0.4), (0.1, 0.3), (0.5, 0.2), (0.75, 0.05)]
    for box, (left, width) in zip(boxes, expected, strict=True):
        assert box == [pytest.approx(left, abs=0.005), pytest.approx(width, abs=0.005)]


def test_a_new_session_appears_by_itself_and_ends_before_ones_eyes(page: Page, db: Path):
    """The empty page says how to begin; then it shows that it worked, without a reload."""
    page.open()
    page.until(".note h2", ["No sessions yet"])
    assert "st.init(" in page.one(".welcome pre").text
    assert str(db) in page.one(".welcome .fine").text
    sid = new_id()
    write(db, session_start(sid, now_ns() // 10**6))
    page.until("tbody .c-status", ["open"])
    assert not page.one(".note").is_displayed()
    write(db, event(sid), session_end(sid, now_ns() // 10**6))
    page.until("tbody .c-status", ["ended"])


def test_an_open_session_grows_while_it_is_read(page: Page, db: Path):
    """The step that is being read stays selected when others arrive."""
    sid = new_id()
    first = event(sid, event_name="first", outputs={"n": 1})
    write(db, session_start(sid), first)
    page.open(f"/sessions/{sid}#{id_of(first)}")
    page.until(".step .name", ["chat", "first"])
    page.until(".detail h2", ["first"])
    write(db, event(sid, T0 + 500, event_name="second"))
    page.until(".step .name", ["chat", "first", "second"])
    assert page.one('[aria-selected="true"]').get_attribute("data-id") == id_of(first)
    assert page.texts(".head .status") == ["open"]


def test_everything_can_be_reached_with_the_keyboard(page: Page, agent: dict[str, str]):
    """List, session, fold, unfold, zoom, read, and back, with no mouse."""
    page.open()
    page.until("tbody .c-name a", ["chat"])
    page.press("j", Keys.ENTER)
    page.until(".step .name", ["chat", "plan", "think", "fetch", "fetch"])
    page.press(Keys.ARROW_DOWN)
    page.until(".detail h2", ["plan"])
    page.press(Keys.ARROW_LEFT)
    page.until(".step .name", ["chat", "plan", "fetch", "fetch"])
    page.press(Keys.ARROW_RIGHT)
    page.until(".step .name", ["chat", "plan", "think", "fetch", "fetch"])
    page.press(Keys.ARROW_RIGHT)
    page.until(".detail h2", ["think"])
    page.press("z")
    zoomed = page.run("return document.querySelector('.step[aria-selected] .bar').style.width")
    assert float(zoomed.rstrip("%")) > 90
    page.press(Keys.ENTER)
    assert page.run("return document.activeElement.matches('.detail')")
    page.press(Keys.ESCAPE)
    assert page.run("return document.activeElement.matches('.step')")
    page.press(Keys.END)
    page.until(".detail .section[open] .j dt", ["id"])
    page.press(Keys.ESCAPE, Keys.ESCAPE)
    page.until("tbody .c-name a", ["chat"])


def test_a_chat_is_drawn_as_a_conversation(page: Page, agent: dict[str, str]):
    """Who said what, instead of an array of objects."""
    page.open(f"/sessions/{agent['sid']}#{agent['think']}")
    page.until(".chat .said", ["Where is my order?", "On its way."])
    assert page.texts(".chat .role") == ["User", "Assistant"]


def test_filters_narrow_the_list_and_say_so_when_nothing_is_left(page: Page, db: Path):
    """By text, and by error; a list that is empty for a filter is not an empty store."""
    good, bad = new_id(), new_id()
    write(
        db, session_end(good, T0, event_name="good"), session_end(bad, event_name="bad", error="x")
    )
    page.open()
    page.until("tbody .c-name a", ["bad", "good"])
    page.press("/")
    page.press("GOO")
    page.until("tbody .c-name a", ["good"])
    page.click(".toggle")
    page.until(".note h2", ["No session matches"])
    page.click(".note .quiet")
    page.until("tbody .c-name a", ["bad", "good"])


def test_older_sessions_come_on_request_and_the_way_back_keeps_the_place(page: Page, db: Path):
    """130 sessions, a page holds 60: scrolling loads on, and back returns to where one was."""
    write(db, *[session_end(new_id(), T0 + at, event_name=f"s{at}") for at in range(130)])
    page.open()
    page.reach(130)
    page.run("window.scrollTo(0, 2500)")
    page.driver.find_element(By.LINK_TEXT, "s70").click()
    page.until(".step .name", ["s70"])
    page.driver.back()
    eventually(lambda: page.count("tbody .c-name a") == 130)
    eventually(lambda: abs(page.run("return window.scrollY") - 2500) < 400)


HOSTILE = "<script>window.owned=1</script><img src=x onerror='window.owned=1'>"
LINK = "javascript:window.owned=1"


def test_hostile_content_is_inert(page: Page, db: Path):
    """Prompts and answers come from the whole internet; here they are text and nothing else."""
    sid = new_id()
    values = {
        HOSTILE: HOSTILE,
        "link": LINK,
        "rtl": "\u202eevil\u202c",
        "__proto__": {"x": HOSTILE},
    }
    said = [
        {"role": HOSTILE, "content": HOSTILE, "tool_calls": [{"name": HOSTILE, "args": HOSTILE}]}
    ]
    step = event(
        sid, event_name=HOSTILE, event_type=HOSTILE, error=HOSTILE, config={"model": LINK},
        inputs={**values, "messages": said}, outputs=values,
        metadata={"error": {"type": HOSTILE, "message": HOSTILE, "stack": HOSTILE}},
        parent_id=LINK,
    )  # fmt: skip
    write(db, session_end(sid, event_name=HOSTILE, source=LINK, error=HOSTILE, inputs=values,
          user_properties={"user_id": HOSTILE}), step)  # fmt: skip
    page.open()
    page.until("tbody .c-name a", [HOSTILE])
    page.click("tbody .c-name a")
    page.until(".step .name", [HOSTILE, HOSTILE])
    page.click(f'[data-id="{id_of(step)}"]')
    page.until(".chat .said", [HOSTILE])
    assert page.run("return window.owned") is None
    assert page.run("return document.querySelectorAll('main script, main img').length") == 0
    links = page.run("return [...document.querySelectorAll('a')].map(a => a.protocol)")
    assert set(links) == {"http:"}


def test_a_huge_value_is_cut_until_it_is_asked_for(page: Page, db: Path):
    """A megabyte in one string must not freeze the page, and must not be lost."""
    sid = new_id()
    step = event(sid, inputs={"text": "word " * 200_000}, outputs={"many": list(range(5000))})
    write(db, session_end(sid), step)
    page.open(f"/sessions/{sid}#{id_of(step)}")
    button = page.one(".detail .j button")
    assert button.text == "Show all 1.0 MB"
    button.click()
    assert page.run("return document.querySelector('.j-text').textContent.length") == 1_000_000


def test_five_thousand_steps_are_drawn_soon(page: Page, db: Path):
    """A runaway agent is what one most wants to look at."""
    sid = new_id()
    write(db, session_end(sid, took=5000), *[event(sid, T0 + at, 1) for at in range(5000)])
    page.open(f"/sessions/{sid}")
    eventually(lambda: page.count(".step") == 5001)
    # In the processor's time of the page's thread: a loaded machine does not change it much.
    page.driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
    begun = _busy_s(page)
    for at in range(0, 80_000, 4_000):
        page.run("window.scrollTo(0, arguments[0]); document.body.getBoundingClientRect()", at)
    assert _busy_s(page) - begun < 4
    page.driver.execute_cdp_cmd("Performance.disable", {})


def _busy_s(page: Page) -> float:
    found = page.driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    return float(next(one["value"] for one in found if one["name"] == "TaskDuration"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 390])
def test_text_is_readable_in_light_and_dark_wide_and_narrow(
    page: Page, agent: dict[str, str], scheme: str, width: int
):
    """Contrast of every text at least 4.5 (WCAG AA), and nothing sticks out sideways."""
    page.scheme(scheme)
    page.size(width)
    for path in ("/", f"/sessions/{agent['sid']}#{agent['failed']}"):
        page.open(path)
        eventually(lambda: page.all("tbody .c-name a") or page.all(".step .name"))
        assert page.run("return document.documentElement.scrollWidth") <= width
        assert page.run(CONTRAST) == []


CONTRAST = """
const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
const rgba = (color) => {
  canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data];
};
const light = (color) => {
  const [r, g, b] = color.map((part) => part / 255)
    .map((part) => part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ground = (node) => {
  for (; node; node = node.parentElement) {
    const color = rgba(getComputedStyle(node).backgroundColor);
    if (color[3] === 255) return color.slice(0, 3);
  }
  return [255, 255, 255];
};
const poor = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const node = walker.currentNode.parentElement;
  if (!walker.currentNode.data.trim()) continue;
  if (node.closest('.hidden, noscript, [aria-hidden], .none')) continue;
  if (!node.checkVisibility({opacityProperty: true, visibilityProperty: true})) continue;
  const [a, b] = [light(rgba(getComputedStyle(node).color).slice(0, 3)), light(ground(node))];
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < 4.5) poor.push([walker.currentNode.data.trim().slice(0, 30), ratio.toFixed(2)]);
}
return poor;
"""
