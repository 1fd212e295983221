"""The browser that the page's tests share: Debian's chromium, driven by selenium."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from served import Served, serving
from stored import T0, event, eventually, id_of, session_end, write

from sessiontrace.ids import new_id

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
from selenium.common.exceptions import StaleElementReferenceException  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402

CHROMIUM = shutil.which("chromium")
CHROMEDRIVER = shutil.which("chromedriver")
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    if not (CHROMIUM and CHROMEDRIVER):
        pytest.skip("no browser: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in [*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('browser')}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(CHROMEDRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def page(browser: Any, db: Path) -> Iterator[Page]:
    with serving(db) as server:
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": 1400, "height": 900, "deviceScaleFactor": 1, "mobile": False},
        )
        browser.get_log("browser")
        shown = Page(browser, server)
        yield shown
        assert shown.complaints() == []
        browser.get("about:blank")


class Page:
    """The page as a reader uses it: by what is seen and by keys."""

    def __init__(self, driver: Any, server: Served) -> None:
        self.driver = driver
        self.server = server

    def open(self, path: str = "/") -> None:
        self.driver.get(self.server.url + path)

    def all(self, selector: str) -> list[Any]:
        return list(self.driver.find_elements(By.CSS_SELECTOR, selector))

    def one(self, selector: str) -> Any:
        return eventually(lambda: self.all(selector))[0]

    def texts(self, selector: str) -> list[str]:
        """The visible texts; an element that is redrawn meanwhile is looked up again."""
        for _ in range(5):
            try:
                return [one.text for one in self.all(selector)]
            except StaleElementReferenceException:
                continue
        raise AssertionError(f"{selector} never holds still")

    def until(self, selector: str, expected: list[str]) -> None:
        """Wait until the texts are these; tell what they were if they never are."""
        seen: list[str] = []
        try:
            eventually(
                lambda: seen.__setitem__(slice(None), self.texts(selector)) or seen == expected
            )
        except AssertionError:
            assert seen == expected

    def press(self, *keys: str) -> None:
        for key in keys:
            self.driver.switch_to.active_element.send_keys(key)

    def run(self, script: str, *values: Any) -> Any:
        return self.driver.execute_script(script, *values)

    def complaints(self) -> list[str]:
        """What the browser's console says, refused scripts and failed requests among it."""
        return [line["message"] for line in self.driver.get_log("browser")]


@pytest.fixture
def agent(db: Path) -> dict[str, str]:
    """An agent's session: a plan with a model call, a tool that fails, its retry."""
    sid = new_id()
    plan = event(sid, T0, 400, event_type="chain", event_name="plan")
    think = event(
        sid, T0 + 100, 300, parent_id=id_of(plan), event_type="model", event_name="think",
        inputs={"chat_history": [{"role": "user", "content": "Where is my order?"}]},
        outputs={"role": "assistant", "content": "On its way."},
    )  # fmt: skip
    failed = event(
        sid, T0 + 500, 200, event_name="fetch", error="TimeoutError: no answer",
        metadata={"error": {"type": "TimeoutError", "message": "no answer", "stack": "a.py:1"}},
    )  # fmt: skip
    again = event(sid, T0 + 750, 50, event_name="fetch", inputs={"id": 4711})
    user = {"user_id": "ada"}
    write(db, session_end(sid, took=1000, user_properties=user), plan, think, failed, again)
    return {
        "sid": sid, "plan": id_of(plan), "think": id_of(think),
        "failed": id_of(failed), "again": id_of(again),
    }  # fmt: skip
