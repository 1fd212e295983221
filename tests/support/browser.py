"""The page as a reader uses it: Debian's chromium, driven by selenium, and what is seen in it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from support import records
from support.server_process import Served

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
from selenium.common.exceptions import (  # noqa: E402
    ElementClickInterceptedException,
    ElementNotInteractableException,
    StaleElementReferenceException,
)
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402

T = TypeVar("T")

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
    # A window that nobody sees must draw and keep time as one that somebody does.
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
]
# Redrawn meanwhile, still hidden, or under something else that will go.
_TOO_EARLY = (
    ElementClickInterceptedException,
    ElementNotInteractableException,
    StaleElementReferenceException,
)
PATIENCE_S = 40.0  # for what is to be seen: a loaded machine is slow, and passing costs none of it
MARKS = [pytest.mark.page, pytest.mark.timeout(240)]


def eventually(check: Callable[[], T]) -> T:
    """What ``check`` gives once it is true; what is redrawn meanwhile is looked up again."""

    def looked_up() -> T | None:
        try:
            return check()
        except _TOO_EARLY:
            return None

    found = records.eventually(looked_up, PATIENCE_S)
    assert found is not None
    return found


def chromium(home: Path) -> Any:
    """A browser of the test's own, with an empty profile."""
    if not (CHROMIUM and CHROMEDRIVER):
        pytest.skip("no browser: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in [*FLAGS, f"--user-data-dir={home}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=Service(CHROMEDRIVER))


class Page:
    """The page as a reader uses it: by what is seen and by keys."""

    def __init__(self, driver: Any, server: Served) -> None:
        self.driver = driver
        self.server = server

    def open(self, path: str = "/") -> None:
        self.driver.get(self.server.url + path)

    def all(self, selector: str) -> list[Any]:
        return list(self.driver.find_elements(By.CSS_SELECTOR, selector))

    def count(self, selector: str) -> int:
        """How many there are."""
        return int(self.run("return document.querySelectorAll(arguments[0]).length", selector))

    def one(self, selector: str) -> Any:
        return eventually(lambda: self.all(selector))[0]

    def see(self, selector: str) -> None:
        """Wait until something of it is to be seen."""
        eventually(lambda: any(one.is_displayed() for one in self.all(selector)))

    def click(self, selector: str, at: int = 0) -> None:
        """Click the first of it, or the one at ``at``, as soon as that is possible."""
        eventually(lambda: self.all(selector)[at : at + 1] and [self.all(selector)[at].click()])

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

    def reach(self, count: int) -> None:
        """Scroll to the end, again and again, until so many sessions are listed."""

        def listed() -> int:
            self.run("window.scrollTo(0, document.body.scrollHeight)")
            return self.count("tbody .c-name a")

        eventually(lambda: listed() == count)

    def size(self, width: int, height: int = 900) -> None:
        """Make the window so large."""
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
        )

    def scheme(self, name: str) -> None:
        """Prefer "light" or "dark"; empty: as the system does."""
        feature = {"name": "prefers-color-scheme", "value": name}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})

    def press(self, *keys: str) -> None:
        for key in keys:
            self.driver.switch_to.active_element.send_keys(key)

    def run(self, script: str, *values: Any) -> Any:
        return self.driver.execute_script(script, *values)

    def leave(self) -> list[str]:
        """Go away from the page, so that it asks no more; what the browser said until then."""
        self.driver.get("about:blank")
        return self.complaints()

    def complaints(self) -> list[str]:
        """What the browser's console says, refused scripts and failed requests among it."""
        return [line["message"] for line in self.driver.get_log("browser")]
