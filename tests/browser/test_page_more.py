"""The page's further parts in a real browser: search, live stream, charts, comparison, scores."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys
from support.browser import MARKS, Page, eventually
from support.records import T0, event, id_of, session_end, session_start, update, write

from sessiontrace.model.ids import new_id

pytestmark = MARKS


def test_search_finds_what_steps_said(page: Page, db: Path):
    """Words of inputs, outputs and errors; not only the session's name."""
    one, two = new_id(), new_id()
    write(
        db,
        session_end(one, event_name="first"), event(one, outputs={"a": "Der Zug hat Verspätung"}),
        session_end(two, event_name="second"), event(two, error="TimeoutError: gateway"),
    )  # fmt: skip
    page.open()
    page.until("tbody .c-name a", ["second", "first"])
    box = page.one('input[type="search"]')
    for text, expected in (("verspät", ["first"]), ("gateway", ["second"]), ("zug absent", [])):
        box.send_keys(Keys.CONTROL + "a")
        box.send_keys(text)
        eventually(lambda: page.server.json("/api/about")["unindexed"] == 0)
        page.until("tbody .c-name a", expected)


def test_a_step_is_found_inside_a_session(page: Page, agent: dict[str, str]):
    """Find, the next one by Enter, and Escape shows all again."""
    page.open(f"/sessions/{agent['sid']}")
    page.until(".step .name", ["chat", "plan", "think", "fetch", "fetch"])
    page.press("/")
    page.press("4711")
    page.until(".step.found .name", ["fetch"])
    assert page.one(".step.found").get_attribute("data-id") == agent["again"]
    page.press(Keys.ENTER)
    eventually(lambda: page.driver.current_url.endswith(agent["again"]))
    page.press(Keys.ESCAPE)
    page.until(".step.found .name", [])
    assert not page.all(".finding")


def test_news_come_by_the_stream_and_not_by_asking(page: Page, db: Path):
    """With the stream open the page asks when it is told, so that it is there at once."""
    page.open()
    page.until(".note h2", ["No sessions yet"])
    page.until("#pulse", ["Live"])
    page.run(
        "window.asked = 0; const real = window.fetch;"
        "window.fetch = (...given) => {"
        "  if (String(given[0]).startsWith('/api/sessions?')) window.asked += 1;"
        "  return real(...given); };"
    )
    quiet = page.run("return window.asked")
    write(db, session_end(new_id()))
    page.until("tbody .c-name a", ["chat"])
    assert page.run("return window.asked") > quiet
    streams = page.run(
        "return performance.getEntriesByType('resource')"
        ".filter(one => one.initiatorType === 'eventsource').length"
    )
    assert streams <= 1


SILENT = "The server does not answer. Is it still running?"  # a browser says "Failed to fetch"


def test_a_stopped_server_is_told(page: Page, db: Path):
    """Somebody pressed Ctrl-C in the other window."""
    write(db, session_end(new_id()))
    page.open()
    page.until("#pulse", ["Live"])
    page.server.process.send_signal(signal.SIGTERM)
    assert page.server.process.wait(timeout=20) == 0, "an open stream must not keep it"
    page.until("#pulse", ["Server unreachable, retrying"])
    page.until("tbody .c-name a", ["chat"])
    assert page.one("#pulse").get_attribute("title") == SILENT
    page.click("tbody .c-name a")
    page.until(".note p", [SILENT])
    page.leave()  # the browser's console tells of failed requests, rightly


def test_the_reader_keeps_the_place_when_sessions_arrive(page: Page, db: Path):
    """Far down in the list nothing moves; a button tells how many are new."""
    write(db, *[session_end(new_id(), T0 + n, event_name=f"s{n}") for n in range(100)])
    page.open()
    eventually(lambda: page.count("tbody .c-name a") >= 60)
    page.run("window.scrollTo(0, 1200)")
    place = (
        "const rows = [...document.querySelectorAll('tbody tr[data-id]')];"
        "return rows.find(row => row.getBoundingClientRect().top > 60).dataset.id"
    )
    before = page.run(place)
    write(db, *[session_end(new_id(), T0 + 1000 + n, event_name="new") for n in range(3)])
    page.until(".fresh", ["↑ 3 new sessions"])
    assert page.run(place) == before
    page.click(".fresh")
    eventually(lambda: page.texts("tbody .c-name a")[:3] == ["new"] * 3)


def test_charts_show_when_and_how_long_and_narrow_the_list(page: Page, db: Path):
    """Every session is in both charts; a bar is a filter, and its chip takes it back."""
    for n in range(6):
        error = {"error": "no"} if n == 5 else {}
        write(db, session_end(new_id(), T0 + n * 600_000, took=10**(n % 3 + 1),
                              event_name=f"s{n}", **error))  # fmt: skip
    page.open()
    page.until("tbody .c-name a", [f"s{n}" for n in range(5, -1, -1)])
    labels = eventually(lambda: [one.get_attribute("aria-label") for one in page.all(".chart svg")])
    assert labels[0].startswith("Sessions over time: 6 sessions, 1 with errors")
    assert labels[1].startswith("Durations: 10 ms to 30 ms: 2")
    heights = page.run(
        "return [...document.querySelectorAll('.chart:first-child .all')]"
        ".map(bar => bar.getBoundingClientRect().height).filter(Boolean)"
    )
    assert len(heights) == 6
    assert max(heights) == pytest.approx(44, abs=1)
    page.run(
        "document.querySelector('.chart .picks')"
        ".dispatchEvent(new MouseEvent('click', {bubbles: true}))"
    )
    page.until("tbody .c-name a", ["s0"])
    page.click(".toggle.span")
    page.until("tbody .c-name a", [f"s{n}" for n in range(5, -1, -1)])


def test_two_sessions_stand_side_by_side(page: Page, db: Path):
    """What only one of them did, what took longer, and what said something else."""
    ids = [new_id(), new_id()]
    for n, sid in enumerate(ids):
        plan = event(sid, T0, 100 + 50 * n, event_type="chain", event_name="plan")
        answer = event(sid, T0 + 200, 50, event_name="answer", outputs={"a": n}, inputs={"q": 1})
        extra = [event(sid, T0 + 150, 10, event_name="retry", parent_id=id_of(plan))] if n else []
        write(db, session_end(sid, T0 + n, event_name=f"run {n}"), plan, *extra, answer)
    page.open()
    page.until("tbody .c-name a", ["run 1", "run 0"])
    for box in page.all("tbody .c-pick input"):
        box.click()
    page.click("button.compare")
    page.until(".pairs thead a", ["run 1", "run 0"])
    assert page.texts(".pair td:first-child .name") == ["plan", "retry", "answer"]
    assert page.texts(".pair td:nth-child(2) .name") == ["plan", "answer"]
    assert page.texts(".pair td.num") == ["\u221250 ms", "only left", ""]
    assert page.texts(".summary") == ["1 step is in one session only."]
    page.click("tr.pair", 2)
    page.until(".part h2", ["Inputs the same in both", "Outputs different"])
    assert page.texts(".part.differs .j-number") == ["1", "0"]
    page.press(Keys.ESCAPE)
    page.until("tbody .c-name a", ["run 1", "run 0"])


def test_feedback_given_by_hand_is_kept(page: Page, agent: dict[str, str]):
    """A thumb, then a comment, on a step; they are there after a reload, and in the API."""
    page.open(f"/sessions/{agent['sid']}#{agent['think']}")
    page.until(".detail h2", ["think"])
    page.click('.score [aria-label="Good"]')
    page.until(".score [role=status]", ["Saved"])
    name = page.one('.score [aria-label="Name of the score"]')
    name.clear()
    name.send_keys("comment")
    page.one('.score [aria-label="Value of the score"]').send_keys("well said", Keys.ENTER)
    eventually(
        lambda: (
            page.server.json(f"/api/events/{agent['think']}").get("feedback")
            == {"rating": 1, "comment": "well said"}
        )
    )
    page.open("/")
    page.open(f"/sessions/{agent['sid']}#{agent['think']}")
    page.until(".detail h2", ["think"])
    assert "well said" in page.one(".detail").text


def test_a_step_is_copied_as_json_and_as_curl(page: Page, db: Path):
    """A model call is copied as the request to its provider, quoted for a shell."""
    sid = new_id()
    call = event(
        sid, event_type="model", config={"model": "gpt-x", "provider": "openai"},
        inputs={"chat_history": [{"role": "user", "content": "it's $HOME `id`"}]},
    )  # fmt: skip
    tool = event(sid, T0 + 5, event_name="tool")
    write(db, session_end(sid), call, tool)
    page.open(f"/sessions/{sid}#{id_of(call)}")
    page.until(".detail h2", ["look_up"])
    page.run(
        "navigator.clipboard.writeText ="
        " (text) => { window.copied = text; return Promise.resolve(); }"
    )
    buttons = {one.text: one for one in page.all(".detail .badges button")}
    buttons["Copy curl"].click()
    copied = eventually(lambda: page.run("return window.copied"))
    assert copied.startswith("curl https://api.openai.com/v1/chat/completions")
    assert "it'\\''s $HOME `id`" in copied
    buttons["Copy JSON"].click()
    eventually(lambda: page.run("return window.copied").startswith("{"))
    page.click(f'[data-id="{id_of(tool)}"]')
    page.until(".detail .title h2", ["tool"])
    next(one for one in page.all(".badges button") if one.text == "Copy curl").click()
    eventually(
        lambda: (
            page.run("return window.copied") == f"curl '{page.server.url}/api/events/{id_of(tool)}'"
        )
    )


def test_the_first_chunk_is_marked_in_its_bar(page: Page, db: Path):
    """Where the answer began to arrive, on the common axis."""
    sid = new_id()
    call = event(sid, T0, 800, event_type="model", metrics={"time_to_first_chunk_ms": 200.0})
    write(db, session_end(sid, T0, took=1000), call, event(sid, T0, 10))
    page.open(f"/sessions/{sid}#{id_of(call)}")
    page.one(".first-chunk")
    at = page.run(
        "const lane = document.querySelector('.type-model .lane').getBoundingClientRect();"
        "const mark = document.querySelector('.first-chunk').getBoundingClientRect();"
        "return (mark.left + mark.width / 2 - lane.left) / lane.width"
    )
    assert at == pytest.approx(0.2, abs=0.005)
    assert page.count(".first-chunk") == 1
    page.until(".detail .facts div:nth-child(3)", ["First chunk\nafter 200 ms"])


def test_a_late_score_shows_while_the_step_is_open(page: Page, db: Path):
    """Another process scores; the reader sees it without a reload."""
    sid = new_id()
    step = event(sid)
    write(db, session_start(sid), step)
    page.open(f"/sessions/{sid}#{id_of(step)}")
    page.until(".detail h2", ["look_up"])
    write(db, update(id_of(step), sid, metrics={"helpful": 0.25}))
    eventually(lambda: "0.25" in page.one(".detail").text)


def test_scores_are_listed_and_those_of_steps_count(page: Page, db: Path):
    """What was judged well or badly is seen without opening each; given by hand, it comes live."""
    sid = new_id()
    step = event(sid)
    write(db, session_end(sid, metrics={"helpful": 0.875}), step)
    page.open()
    page.until("tbody .c-score", ["0.875 helpful"])
    write(db, update(id_of(step), sid, feedback={"rating": 0}))
    page.until("tbody .c-score", ["0.875 helpful +1"])
    assert page.one(".scores").get_attribute("title") == "helpful 0.875\nrating 0"
    page.click("tbody .c-name a")
    page.until(".head .facts div:last-child", ["Score\nhelpful 0.875, rating 0"])


def test_a_session_is_deleted_after_a_question(page: Page, agent: dict[str, str], db: Path):
    """By the keyboard; Cancel has the focus at first, and the list no longer has the session."""
    page.open(f"/sessions/{agent['sid']}")
    page.until(".step .name", ["chat", "plan", "think", "fetch", "fetch"])
    delete = next(one for one in page.all("button.quiet") if one.text == "Delete")
    for keys in ((Keys.ENTER,), (Keys.TAB, Keys.ENTER)):
        delete.send_keys(Keys.ENTER)
        eventually(lambda: page.run("return document.activeElement.textContent") == "Cancel")
        for key in keys:
            page.press(key)
        if len(keys) == 1:
            page.until("dialog", [])
    page.until("dialog h2", ["Deleted"])
    page.until("dialog p", ["No byte of it is left in the store."])
    page.press(Keys.ENTER)
    page.until("dialog", [])
    page.until(".note h2", ["No sessions yet"])
