"""A real headless Chromium, and what tests do with it."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException

SHOTS = os.environ.get("TEST_SCREENSHOTS")
"""A directory that keeps the screenshots, for a person to look at."""


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not browser or not driver:
        pytest.skip("needs chromium and chromedriver")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = browser
    profile = tmp_path_factory.mktemp("profile")
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", f"--user-data-dir={profile}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    started = webdriver.Chrome(options=options, service=Service(driver))
    yield started
    started.quit()


def shoot(chromium: Any, name: str) -> None:
    if SHOTS:
        chromium.save_screenshot(str(Path(SHOTS) / f"{name}.png"))


def scheme(chromium: Any, name: str) -> None:
    features = [{"name": "prefers-color-scheme", "value": name}]
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def size(chromium: Any, width: int, height: int) -> None:
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def brightness(chromium: Any) -> int:
    """The background's red channel."""
    colour = chromium.execute_script("return getComputedStyle(document.body).backgroundColor")
    return int(colour.partition("(")[2].split(",")[0])


def wait_for(chromium: Any, part: str, text: str) -> None:
    """A page on its way from one to the next has no such part for a moment."""
    give_up, seen = time.monotonic() + 20, ""
    while text not in seen:
        assert time.monotonic() < give_up, seen
        time.sleep(0.1)
        with suppress(NoSuchElementException, StaleElementReferenceException):
            seen = chromium.find_element("css selector", part).text


def press(chromium: Any, words: str) -> None:
    next(b for b in chromium.find_elements("tag name", "button") if b.text == words).click()
