"""Reading a conversation on the page: as a thread, by keyboard, while it goes on, on a phone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from selenium.webdriver.common.keys import Keys
from support.axe import axe_source, faults
from support.browser import MARKS, Page, eventually
from support.records import event, id_of, session_end, update, write
from support.server_process import Served, serving

from sessiontrace.model.ids import new_id, session_uuid
from sessiontrace.model.record import Record

pytestmark = MARKS

NAMES = "tbody .c-name a"
TURNS = ".thread .turn"
OWN_ID = "conv-4711"
HOUR = 3_600_000
HOSTILE = (
    "<img src=x onerror=\"window.ran='img'\"><script>window.ran='script'</script>"
    "<svg onload=\"window.ran='svg'\"></svg>\n[x](javascript:window.ran='link')\n"
    "![x](data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9ImFsZXJ0KDEpIi8+)"
)


@attrs.frozen
class Store:
    """The store's file, and what is in it."""

    db: Path
    support: str
    model: str
    long: str
    hostile: str


def turn(session: str, at: int, question: str, answer: str, **more: Any) -> Record:
    return session_end(
        session, at, 900, event_id=new_id(), inputs={"message": question},
        outputs={"reply": answer}, **more,
    )  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Ada's two conversations, one of 90 turns, one that attacks its reader, and a pipeline."""
    db = tmp_path_factory.mktemp("thread") / "store.db"
    now = time.time_ns() // 10**6
    support, old, long, hostile = session_uuid(OWN_ID), new_id(), new_id(), new_id()
    ada = {"user_properties": {"user_id": "ada"}, "event_name": "support"}
    first = turn(support, now - 60_000, "Where is my order?", "In **Hamburg**.", **ada,
                 feedback={"helpful": 1})  # fmt: skip
    model = event(
        support, now - 59_900, 500, parent_id=id_of(first), event_type="model",
        event_name="chat gpt-5", outputs={"role": "assistant", "content": "It is in Hamburg now."},
        metadata={"total_tokens": 42, "cost": 0.25},
    )  # fmt: skip
    write(
        db, first, model,
        event(support, now - 59_800, 30, parent_id=id_of(first), event_name="look_up",
              inputs={"order": 4711}, outputs={"place": "Hamburg"}),
        turn(support, now - 30_000, "Thanks!", "You are welcome.", **ada, error="E: slow"),
        turn(old, now - 48 * HOUR, "An older question", "An older answer", **ada),
        *(turn(long, now - 9 * HOUR + n * 60_000, f"question {n}", f"answer {n} " * 20,
               event_name="long") for n in range(90)),
        *(turn(hostile, now - 5 * HOUR + n, HOSTILE, HOSTILE, event_name=HOSTILE, error=HOSTILE,
               user_properties={"user_id": HOSTILE}) for n in range(2)),
        session_end(new_id(), now - 7 * HOUR, event_name="pipeline", inputs={"topic": "cats"}),
    )  # fmt: skip
    return Store(db, support, id_of(model), long, hostile)


@pytest.fixture(scope="module")
def server(store: Store) -> Iterator[Served]:
    with serving(store.db) as served:
        yield served


@pytest.fixture
def page(browser: Any, server: Served) -> Iterator[Page]:
    shown = Page(browser, server)
    shown.size(1440)
    shown.scheme("")
    shown.complaints()  # of an earlier test that failed
    yield shown
    assert shown.leave() == []


def address(page: Page) -> str:
    return str(page.run("return location.pathname + location.search + location.hash"))


def test_what_the_last_conversation_of_a_user_said_is_two_clicks_away(page: Page):
    """On the user, then on the first session: questions and answers, not rows of steps."""
    page.open()
    page.see(NAMES)
    page.driver.find_element("css selector", "tbody .c-user [title='Only user:ada']").click()
    page.until(NAMES, ["support", "support"])
    page.click(NAMES)
    page.until(".line .said", ["Where is my order?", "In Hamburg.", "Thanks!", "You are welcome."])
    assert page.texts(".line strong") == ["Hamburg"]
    (head, second) = page.texts(".turn-facts")
    assert "900 ms" in head
    assert "42 tokens" in head
    assert "$0.25" in head
    assert "helpful 1" in head
    assert "1 error" in second
    assert page.texts(".steps-of") == ["2 steps", "Details"]
    assert page.texts(".turn p.failure") == ["E: slow"]


def test_keys_alone_lead_from_the_list_to_the_output_of_a_step_and_back(page: Page, store: Store):
    """List, thread, the turn's steps, the model's answer, and the same way back."""
    page.open("/?q=user:ada")
    page.until(NAMES, ["support", "support"])
    page.press("j", Keys.ENTER)
    page.see(TURNS)
    page.press("j")
    focused = "return document.activeElement.querySelector('h2')?.textContent"
    eventually(lambda: page.run(focused) == "Turn 1")
    page.press(Keys.ENTER)
    page.see(".step[aria-selected=true]")
    assert "view=tree" in address(page)
    eventually(lambda: page.run("return document.activeElement.matches('.step')"))
    page.press("j", Keys.ENTER)
    page.until(".detail h2", ["chat gpt-5"])
    eventually(lambda: page.run("return document.activeElement.matches('.detail')"))
    assert any("It is in Hamburg now." in text for text in page.texts(".detail .said"))
    page.press(Keys.ESCAPE, Keys.ESCAPE)
    page.see(TURNS)
    eventually(lambda: page.run(focused) == "Turn 1")
    page.press(Keys.ESCAPE)
    page.until(NAMES, ["support", "support"])
    eventually(lambda: page.run("return document.activeElement.textContent") == "support")


def test_the_address_holds_the_view_and_t_changes_it(page: Page, store: Store):
    """A conversation opens as its thread, a pipeline as its steps; a link shows what one saw."""
    path = f"/sessions/{store.support}"
    page.open(f"/sessions/{OWN_ID}")
    page.see(TURNS)
    assert address(page) == path, "by the application's own id, too"
    page.press("t")
    page.see(".waterfall .step")
    assert address(page).startswith(f"{path}?view=tree")
    page.driver.refresh()
    page.see(".waterfall .step")
    page.press("t")
    page.see(TURNS)
    assert address(page).startswith(f"{path}?view=thread")
    page.open(f"{path}#{store.model}")
    page.see(".step[aria-selected=true]")
    page.open("/?q=pipeline")
    page.until(NAMES, ["pipeline"])
    page.click(NAMES)
    page.see(".waterfall .step")
    page.press("t")
    page.until(".line .said", ["cats"])


def test_tools_are_folded_and_open_with_what_they_were_given(page: Page, store: Store):
    """Between question and answer; the content comes when it is asked for."""
    page.open(f"/sessions/{store.support}")
    page.until("details.in-tools > summary .names", ["look_up"])
    assert not page.all(".tool-content")
    page.press("o")
    page.click("details.in-tool > summary")
    page.until(".tool-content dd", ["4711", "Hamburg"])


def test_a_long_conversation_comes_in_pages_and_each_turn_once(page: Page, store: Store):
    """The first page at once, the next ones while one reads, the last turn with one key."""
    page.open(f"/sessions/{store.long}")
    eventually(lambda: page.count(TURNS) == 40)
    page.press(Keys.END)
    eventually(lambda: page.count(TURNS) == 90)
    eventually(lambda: page.run("return document.activeElement.textContent").startswith("Turn 90"))
    numbers = page.run("return [...document.querySelectorAll('.turn h2')].map(h => h.textContent)")
    assert numbers == [f"Turn {n}" for n in range(1, 91)]
    assert page.run("return scrollY") > 2000


def test_a_conversation_that_goes_on_is_followed(page: Page, store: Store):
    """A new turn and a late score appear by themselves; what is open stays open."""
    session, now = new_id(), time.time_ns() // 10**6
    first = turn(session, now, "one?", "one.")
    tool = event(session, now + 10, 5, parent_id=id_of(first), event_name="look_up")
    write(store.db, first, tool)
    page.open(f"/sessions/{session}")
    page.until(".line .said", ["one?", "one."])
    page.press("o")
    page.see("details.in-tools[open]")
    write(store.db, turn(session, now + 1000, "two?", "two."))
    page.until(".line .said", ["one?", "one.", "two?", "two."])
    write(store.db, update(id_of(first), session, feedback={"rating": 0}))
    page.until(".turn .chip", ["rating 0"])
    assert page.count("details.in-tools[open]") == 1


def test_a_users_sessions_are_one_thread(page: Page):
    """By a click on the user of a session, or from the list; latest first, with a way back."""
    page.open("/?q=user:ada")
    page.until(NAMES, ["support", "support"])
    page.driver.find_element("link text", "As one thread").click()
    said = ["Where is my order?", "In Hamburg.", "Thanks!", "You are welcome."]
    page.until(".conversation .said", [*said, "An older question", "An older answer"])
    assert address(page) == "/users/ada"
    page.click(".conversation h2 a")
    page.until(".line .said", said)
    page.driver.find_element("css selector", ".head .facts a").click()
    page.see(".conversation")
    page.press(Keys.ESCAPE)
    page.until(NAMES, ["support", "support"])


def test_what_was_recorded_never_runs(page: Page, store: Store):
    """Markup, markdown and addresses in every field stay text, and nothing is loaded for them."""
    page.open(f"/sessions/{store.hostile}")
    page.see(".line .said")
    page.click(".head .facts a")
    page.see(".conversation .said")
    unsafe = "main script, main svg[onload], main img[onerror], main a[href^='javascript:']"
    assert page.count(unsafe) == 0
    assert page.run("return window.ran") is None


def test_nothing_is_wider_than_the_window(page: Page, store: Store):
    """Also with names, users and texts that have no space to break at."""
    for path in (f"/sessions/{store.hostile}?view=thread", f"/sessions/{store.support}"):
        page.open(path)
        page.see(".line .said")
        for width in (1440, 1280, 1024, 768, 390):
            page.size(width)
            assert page.run("return document.documentElement.scrollWidth - innerWidth") <= 0


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 390)])
def test_thread_and_user_have_no_fault(page: Page, store: Store, scheme: str, width: int):
    """What axe-core finds, in both schemes, on a desk and on a phone."""
    axe = axe_source()
    page.scheme(scheme)
    page.size(width)
    page.open(f"/sessions/{store.support}")
    page.see(".line .said")
    page.press("o")
    page.see("details.in-tool")
    wrong = faults(page, axe)
    page.open("/users/ada")
    page.see(".conversation .said")
    assert [*wrong, *faults(page, axe)] == []
