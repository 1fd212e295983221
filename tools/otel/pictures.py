"""Pictures of a backend's pages, taken with headless chromium; runs in an environment of its own.

    python pictures.py '[{"views": [URL, URL], "picture": FILE}, ...]'

Each picture has its views one below the other, in few colours: below 150 kB.
"""

from __future__ import annotations

import io
import json
import shutil
import sys
import tempfile
import time
from typing import Any

from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

WIDTH, HEIGHT = 1280, 760
SHOWN_WIDTH = 1000
COLOURS = 256
SIGN = "Atlantis"  # in the question of the second turn, which both views show
LOADING_S = 45  # the first page loads the program, too; a view without the question takes this long
SETTLING_S = 5
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")
CLOSED = "localStorage.setItem('mlflow.assistant.{}', '{}');"
BEFORE = CLOSED.format("fab.autoOpenedOnFirstLoad_v1", "true") + CLOSED.format(
    "panelOpen_v1", "false"
)


def browser(profile: str) -> Any:
    """Chromium with an empty profile, in which MLflow's assistant stays closed."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in (*FLAGS, f"--user-data-dir={profile}", f"--window-size={WIDTH},{HEIGHT}"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": BEFORE})
    size = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    return driver


def take(driver: Any, url: str) -> Image.Image:
    """One page, when it has settled."""
    driver.get("about:blank")  # a page whose address differs in its fragment only stays as it is
    driver.get(url)
    end = time.monotonic() + LOADING_S
    while SIGN not in driver.find_element("tag name", "body").text and time.monotonic() < end:
        time.sleep(1)
    time.sleep(SETTLING_S)
    return Image.open(io.BytesIO(driver.get_screenshot_as_png())).convert("RGB")


def save(pictures: list[Image.Image], path: str) -> None:
    """One below the other, smaller, in few colours."""
    whole = Image.new("RGB", (WIDTH, sum(picture.height for picture in pictures)))
    top = 0
    for picture in pictures:
        whole.paste(picture, (0, top))
        top += picture.height
    small = whole.resize((SHOWN_WIDTH, top * SHOWN_WIDTH // WIDTH), Image.Resampling.LANCZOS)
    small.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


def main() -> None:
    """Take all pictures."""
    with tempfile.TemporaryDirectory() as profile:
        driver = browser(profile)
        try:
            for task in json.loads(sys.argv[1]):
                save([take(driver, url) for url in task["views"]], task["picture"])
        finally:
            driver.quit()


if __name__ == "__main__":
    main()
