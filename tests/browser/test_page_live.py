"""The page while things go wrong or never stand still: it recovers, the reader keeps the place."""

from __future__ import annotations

import threading
from pathlib import Path

from selenium.webdriver.common.keys import Keys
from support.browser import MARKS, Page, eventually
from support.records import T0, event, session_end, write
from support.server_process import serving

from sessiontrace.model.ids import new_id
from sessiontrace.store import api_keys, loss_reports
from sessiontrace.store.api_keys import INGEST, READ
from sessiontrace.store.sqlite.store import SqliteStore

pytestmark = MARKS

# Stands between the page and the server: what `window.meddle` returns for a path is done first.
MEDDLE = """
const real = window.fetch;
window.asked = [];
window.fetch = async (path, ...given) => {
  window.asked.push(String(path));
  await window.meddle?.(String(path), given[0]);
  return real(path, ...given);
};
"""


def _sessions(db: Path, count: int, at: int = T0, name: str = "s") -> None:
    write(db, *[session_end(new_id(), at + n, event_name=f"{name}{n}") for n in range(count)])


def test_older_sessions_come_although_asking_for_them_failed(page: Page, db: Path):
    """The first questions for them are lost: the page asks again, with nobody scrolling."""
    _sessions(db, 130)
    page.open()
    eventually(lambda: page.count("tbody .c-name a") == 60)
    page.run(MEDDLE)
    page.run(
        "window.lost = 0; window.meddle = (path) => {"
        "  if (path.includes('after=') && window.lost < 2) {"
        "    window.lost += 1; throw new TypeError('Failed to fetch'); } };"
    )
    page.run("window.scrollTo(0, document.body.scrollHeight)")
    eventually(lambda: page.count("tbody .c-name a") >= 120)
    assert page.run("return window.lost") == 2
    assert page.texts("#pulse") == ["Live"]
    page.reach(130)


def test_a_button_that_stays_in_sight_goes_on_loading(page: Page, db: Path):
    """In a window so tall that a whole page of the list ends within it."""
    _sessions(db, 200)
    page.size(1400, 12_000)
    page.open()
    eventually(lambda: page.count("tbody .c-name a") == 200)


def test_what_was_asked_for_another_filter_is_not_mixed_in(page: Page, db: Path):
    """Older sessions are on their way when the filter changes: theirs is another list."""
    _sessions(db, 100)
    write(db, session_end(new_id(), T0 + 500, event_name="failed", error="no"))
    page.open()
    eventually(lambda: page.count("tbody .c-name a") == 60)
    page.run(MEDDLE)
    page.run(
        "window.meddle = (path) => path.includes('after=')"
        " ? new Promise((go) => { window.release = go; }) : null;"
    )
    page.run("window.scrollTo(0, document.body.scrollHeight)")
    eventually(lambda: page.run("return Boolean(window.release)"))
    page.run("document.querySelector('.toggle').click()")
    page.until("tbody .c-name a", ["failed"])
    page.run("window.meddle = null; window.release()")
    answered = "return performance.getEntriesByType('resource')"
    eventually(lambda: page.run(f"{answered}.some(one => one.name.includes('after='))"))
    assert page.texts("tbody .c-name a") == ["failed"]


def test_more_arrive_than_an_answer_holds_and_the_reader_keeps_the_place(page: Page, db: Path):
    """Nothing moves; asked for, the newest come first, and no session between is left out."""
    _sessions(db, 100)
    page.open()
    page.reach(100)
    page.run("window.scrollTo(0, 1200)")
    place = (
        "const rows = [...document.querySelectorAll('tbody tr[data-id]')];"
        "return rows.find(row => row.getBoundingClientRect().top > 60)?.dataset.id"
    )
    before = page.run(place)
    _sessions(db, 150, T0 + 1000, "new")
    page.until(".fresh", ["↑ More than 60 new sessions"])
    assert page.run(place) == before
    assert page.count("tbody .c-name a") == 100
    page.click(".fresh")
    eventually(lambda: page.texts("tbody .c-name a")[:2] == ["new149", "new148"])
    page.reach(250)


def test_a_slow_answer_is_shown_although_the_store_never_stands_still(page: Page, db: Path):
    """Each commit rings; were each ring to discard the answer on its way, none would be seen."""
    page.open()
    page.until("#pulse", ["Live"])
    page.run(MEDDLE)
    page.run(
        "window.meddle = (path) => path.startsWith('/api/sessions?')"
        " ? new Promise((go) => setTimeout(go, 1000)) : null;"
    )
    sid, enough = new_id(), threading.Event()

    def write_on() -> None:
        while not enough.wait(0.05):
            write(db, event(sid))

    writer = threading.Thread(target=write_on)
    write(db, session_end(sid))
    writer.start()
    try:
        page.until("tbody .c-name a", ["chat"])
    finally:
        enough.set()
        writer.join()


def test_a_server_with_a_token_asks_for_it_and_then_for_nothing_more(page: Page, db: Path):
    """Typed once, or behind the # of the address, where it does not stay."""
    token = "correct-horse-battery-staple"
    file = db.parent / "token"
    file.write_text(token)
    file.chmod(0o600)
    write(db, session_end(new_id()))
    with serving(db, "--token-file", str(file)) as server:
        locked = Page(page.driver, server)
        locked.open()
        box = locked.one(".login [type=password]")
        box.send_keys("wrong", Keys.ENTER)
        locked.until(".note [role=alert]", ["This is not the token of this server."])
        assert not locked.all("tbody")
        box.clear()
        box.send_keys(token, Keys.ENTER)
        locked.until("tbody .c-name a", ["chat"])
        locked.until("#pulse", ["Live"])
        locked.driver.delete_all_cookies()
        locked.open("/?again#token=" + token)
        locked.until("tbody .c-name a", ["chat"])
        assert token not in locked.driver.current_url
        assert "Live" in locked.texts("#pulse")[0]
        assert [line for line in locked.leave() if "401" not in line] == []


def test_a_server_with_keys_asks_for_a_key_that_may_read(page: Page, db: Path):
    """The form says what it wants; a key that only reads sees no feedback form, no Delete."""
    sid = new_id()
    write(db, session_end(sid), event(sid))
    store = SqliteStore(db)
    send, look = (api_keys.add(store, may, "default", may).reveal() for may in (INGEST, READ))
    store.close()
    with serving(db, "--keys") as server:
        locked = Page(page.driver, server)
        locked.open(f"/sessions/{sid}")
        box = locked.one('.login [aria-label="API key"]')
        for wrong in ("wrong", send):
            box.send_keys(wrong, Keys.ENTER)
            locked.until(
                ".note [role=alert]", ["This is not an API key of this server that may read."]
            )
            box.clear()
        box.send_keys(look, Keys.ENTER)
        locked.until(".detail h2", ["chat"])
        eventually(lambda: not locked.one(".score").is_displayed())
        buttons = [text for text in locked.texts(".head button") if text]
        assert "Copy id" in buttons
        assert "Delete" not in buttons
        locked.driver.delete_all_cookies()
        assert [line for line in locked.leave() if "401" not in line] == []


def test_losses_are_told_above_the_page_until_they_were_read(page: Page, db: Path):
    """What a program counted as lost; dismissed, it comes back only when more is lost."""
    write(db, session_end(new_id()))
    page.open()
    page.until("tbody .c-name a", ["chat"])
    assert page.texts(".loss") == []
    store = SqliteStore(db)
    store.write(
        (), [loss_reports.report("p1", "shop", 4711, {"too_large": 2, "honeyhive rejected": 1})]
    )
    page.until(".loss strong", ["shop lost 3 records"])
    (text,) = page.texts(".loss > span")
    assert "2 too large even after truncation, 1 rejected by honeyhive" in text
    assert "Process 4711" in text
    page.click(".loss button")
    page.until(".loss", [])
    assert page.server.json("/api/losses") == {"losses": []}
    store.write((), [loss_reports.report("p1", "shop", 4711, {"too_large": 3})])
    page.until(".loss strong", ["shop lost 3 records"])
    store.close()


def test_many_visits_and_many_tabs_leave_the_server_reachable(page: Page, db: Path):
    """A browser has six connections to a server; streams of pages out of sight must hold none."""
    write(db, session_end(new_id()))
    for number in range(10):
        page.open(f"/?{number}")
        page.until("tbody .c-name a", ["chat"])
        page.until("#pulse", ["Live"])
    driver, first = page.driver, page.driver.current_window_handle
    try:
        for number in range(8):
            driver.switch_to.new_window("tab")
            page.open(f"/?tab{number}")
            page.until("tbody .c-name a", ["chat"])
    finally:
        for handle in driver.window_handles:
            if handle != first:
                driver.switch_to.window(handle)
                driver.close()
        driver.switch_to.window(first)
    write(db, session_end(new_id()))
    page.until("tbody .c-name a", ["chat", "chat"])
