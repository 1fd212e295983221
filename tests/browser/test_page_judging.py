"""Judging and comparing on the page, by the questions that people ask of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from selenium.webdriver.common.keys import Keys
from support.axe import axe_source, faults
from support.browser import MARKS, Page, eventually
from support.records import T0, event, id_of, session_end, write
from support.server_process import Served, serving

from sessiontrace.model.ids import new_id

pytestmark = MARKS

NAMES = "tbody .c-name a"


@attrs.define
class Runs:
    server: Served
    db: Path
    ids: dict[str, str]
    step: str


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """Two failures, and the same agent with two models."""
    db = tmp_path_factory.mktemp("judging") / "store.db"
    ids = {name: new_id() for name in ("broken", "late", "small", "large")}
    step = ""
    for at, (name, sid) in enumerate(ids.items()):
        model = {"small": "gpt-5-mini", "large": "gpt-5"}.get(name, "gpt-5")
        plan = event(sid, T0 + at, 90, event_type="chain", event_name="plan")
        call = event(
            sid, T0 + 1 + at, 80 if name == "large" else 40, event_type="model",
            parent_id=id_of(plan), event_name=f"chat {model}",
            inputs={"chat_history": [{"role": "user", "content": "Which is the capital?"}]},
            outputs={"role": "assistant", "content": f"It is {'Paris' if at % 2 else 'Lyon'}."},
            metadata={"total_tokens": 10 * (at + 1), "cost": 0.01 * (at + 1)},
        )  # fmt: skip
        failed = {"error": f"Error: {name}"} if name in ("broken", "late") else {}
        extra = [event(sid, T0 + 50, 5, event_name="retry")] if name == "large" else []
        write(db, session_end(sid, T0 + at, 100, event_name=name, **failed), plan, call, *extra)
        step = id_of(call) if name == "broken" else step
    with serving(db) as server:
        yield Runs(server, db, ids, step)


@pytest.fixture
def page(browser: Any, runs: Runs) -> Iterator[Page]:
    opened = Page(browser, runs.server)
    opened.size(1440)
    opened.scheme("")
    opened.complaints()  # of an earlier test that failed
    yield opened
    opened.driver.get(f"{runs.server.url}/page/icon.svg")
    opened.run("localStorage.clear()")


def judgements(runs: Runs, name: str) -> list[dict[str, Any]]:
    answer: list[dict[str, Any]] = runs.server.json(f"/api/sessions/{runs.ids[name]}/judgements")[
        "judgements"
    ]
    return answer


def test_which_failed_answers_has_nobody_reviewed_yet(page: Page, runs: Runs):
    """One click shows them, a second opens the first, r marks it and goes on to the next."""
    page.open()
    page.until(NAMES, ["large", "small", "late", "broken"])
    page.click(".review-links button", 0)
    page.until(NAMES, ["late", "broken"])
    page.click(".review-links button", 1)
    page.until(".head h1", ["late"])
    page.until(".queue .soft", ["reviewed:no status:failed: 2 sessions"])
    page.one("input.reviewer").send_keys("ada", Keys.TAB)
    page.press("r")
    page.until(".head h1", ["broken"])
    page.until(".queue .soft", ["reviewed:no status:failed: 1 session"])
    (review,) = judgements(runs, "late")
    assert (review["kind"], review["author"]) == ("review", "ada")
    page.press("p")
    page.see(".head h1")
    assert page.texts(".head h1") == ["broken"], "the reviewed one has left the queue"
    page.driver.refresh()
    page.until(".head h1", ["broken"])
    page.see(".review-bar[data-reviewed=false]")
    page.open("/?q=reviewed:ada")
    page.until(NAMES, ["late"])
    page.until("tbody .reviewed", ["✓ reviewed"])
    page.open(f"/sessions/{runs.ids['late']}?view=tree")
    page.until(".review-state", ["Reviewed by ada"])
    page.press("r")
    page.until(".review-state", ["Not reviewed"])


def test_what_changed_between_these_two_runs(page: Page, runs: Runs):
    """Two boxes and a button: the same call under another name, its words, tokens and price."""
    page.open()
    page.until(NAMES, ["large", "small", "late", "broken"])
    for box in page.all("tbody .c-pick input")[:2]:
        box.click()
    page.click("button.compare")
    page.until(".summary", ["1 step is in one session only, 1 step under another name."])
    assert page.texts(".pair td:first-child .name") == ["plan", "chat gpt-5", "retry"]
    assert page.texts(".pair td:nth-child(2) .name") == ["plan", "chat gpt-5-mini"]
    page.until(".pair td.num", ["", "\u221240 ms\n\u221210 tokens\n\u2212$0.01", "only left"])
    page.click("tr.pair", 1)
    page.until(".diff del", ["Paris"])
    page.until(".diff ins", ["Lyon"])
    address = page.driver.current_url
    assert page.texts(".diff") == ["It is ParisLyon."]
    page.driver.refresh()
    page.until(".pairs thead a", ["large", "small"])
    assert page.driver.current_url == address


def test_a_score_is_changed_commented_and_taken_back(page: Page, runs: Runs):
    """What it replaced stays in sight; labels are filters of the list."""
    page.open(f"/sessions/{runs.ids['broken']}#{runs.step}")
    page.until(".detail h2", ["chat gpt-5"])
    page.see(".judge-forms")
    page.one(".judge-forms input.reviewer").send_keys("ada", Keys.TAB)
    page.click('.score [aria-label="Good"]')
    page.until(".judgement b", ["1"])
    page.one('[aria-label="Comment on the score"]').send_keys("wrong city")
    page.click('.score [aria-label="Bad"]')
    page.until(".judgement summary", ["1 before"])
    page.until(".judgement .prose:not(.text)", ["wrong city"])
    page.one('[aria-label="New label"]').send_keys("wrong fact", Keys.ENTER)
    page.until(".labels li", ["wrong fact\n✕"])
    page.one('[aria-label="New comment"]').send_keys("<b>see</b> the log")
    page.click('form[aria-label="Add a comment"] button')
    page.until(".judgement .text", ["<b>see</b> the log"])
    assert faults(page, axe_source()) == []
    page.click('[aria-label="Remove the score rating"]')
    page.until(".judgement summary", ["2 before"])
    page.click(".judgement summary")
    assert page.texts(".judgement li b") == ["0", "1"]
    scores = [(each["value"], each["author"]) for each in judgements(runs, "broken")
              if each["kind"] == "score"]  # fmt: skip
    assert scores == [(1, "ada"), (0, "ada"), (None, "ada")]
    page.open("/?q=label:%22wrong+fact%22")
    page.until(NAMES, ["broken"])
    page.until("tbody .label", ["wrong fact"])


def test_a_conversation_is_judged_where_it_is_read(page: Page, runs: Runs):
    """The thread has no panel of a step: the session's judgements are folded above it."""
    page.open(f"/sessions/{runs.ids['small']}?view=thread")
    page.click(".session-judgements summary")
    page.see('[aria-label="New label"]')
    page.one('[aria-label="New label"]').send_keys("brief", Keys.ENTER)
    page.until(".session-judgements .labels li", ["brief\n✕"])
    assert faults(page, axe_source()) == []
    page.press(Keys.ESCAPE)
    assert judgements(runs, "small")[0]["name"] == "brief"


def test_what_is_selected_is_exported(page: Page, runs: Runs):
    """The links are what a browser saves; the list's own link has its filters."""
    page.open("/?q=name:small")
    page.until(NAMES, ["small"])
    link = page.one(".review-links a[download]").get_attribute("href")
    status, _, body = runs.server.request(link.removeprefix(runs.server.url))
    assert (status, len(body.splitlines())) == (200, 1)
    page.click("tbody .c-pick input")
    page.until(".selection a", ["Export 1 session"])
    path = page.one(".selection a").get_attribute("href").removeprefix(runs.server.url)
    line = json.loads(runs.server.request(path)[2])
    assert line["summary"]["session_id"] == runs.ids["small"]
    page.click(".selection .quiet", 1)
    eventually(lambda: not page.one(".selection").is_displayed())


def test_two_sets_are_compared_by_their_queries(page: Page):
    """From the list with its query; the address holds both, and a fault is said."""
    page.open("/?q=name:small")
    page.until(NAMES, ["small"])
    page.driver.find_element("link text", "Compare sets").click()
    page.see(".sets-form")
    page.press("name:large", Keys.ENTER)
    page.until(".summary", ["1 session beside 1 session; the median session is as fast."])
    assert "a=name%3Asmall&b=name%3Alarge" in page.driver.current_url
    assert page.texts(".pairs.sets tr.alone .name") == ["chat gpt-5", "chat gpt-5-mini", "retry"]
    page.driver.back()
    page.see(".sets-form")
    page.open("/compare/sets?a=usr:x&b=")
    page.until(".query-fault", ["a: there is no filter 'usr'; did you mean 'user'?"])
    page.complaints()  # of the answer 400
