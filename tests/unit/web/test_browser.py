"""The status page in a real headless Chromium: labels stay text, nothing is blocked or fetched from elsewhere, the page
follows a running cycle, and it can be read on a phone."""

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

from kbsync.config import WebSettings
from kbsync.views.progress import Step
from kbsync.web.backend import Backend
from kbsync.web.server import serving
from tests.support.web_world import HOSTILE, TOKEN, make_backend

SHOTS = os.environ.get("TEST_SCREENSHOTS")
"""A directory that keeps the screenshots, for a person to look at."""

LABEL = f"Germany {HOSTILE}".replace("\u202e", "\\u202e")
PAGES = ("", "versions", "versions/1", "versions/1/report", "facts", "facts/Q183/P6", "quarantine", "login")


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


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Backend, str]]:
    backend, world = make_backend(tmp_path_factory.mktemp("backend"), hostile=True)
    backend.sync_now = lambda: None
    with serving(backend, WebSettings.model_validate({"port": 0, "token": TOKEN})) as address:
        yield backend, address
    world.ledger.close()


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


@pytest.mark.parametrize("path", PAGES)
def test_hostile_labels_are_read_as_text_and_nothing_is_blocked(
    chromium: Any, served: tuple[Backend, str], path: str
) -> None:
    size(chromium, 1200, 900)
    scheme(chromium, "light")
    chromium.get_log("browser"), chromium.get_log("performance")
    chromium.get(served[1] + path)
    assert chromium.title.endswith("· kbsync")
    assert not chromium.find_elements("css selector", "main img, main script")
    if path in ("facts", "facts/Q183/P6"):
        assert LABEL in chromium.find_element("tag name", "main").text
    logged = [line for line in chromium.get_log("browser") if line["level"] in ("WARNING", "SEVERE")]
    assert logged == [], "no script ran that should not, and the policy blocked nothing of ours"
    asked = [
        line["message"] for line in chromium.get_log("performance") if "Network.requestWillBeSent" in line["message"]
    ]
    assert asked and not [m for m in asked if '"url":"http' in m and served[1] not in m]
    shoot(chromium, f"light-{path.replace('/', '-') or 'state'}")


@pytest.mark.parametrize("path", PAGES)
def test_a_phone_at_night(chromium: Any, served: tuple[Backend, str], path: str) -> None:
    size(chromium, 360, 740)
    scheme(chromium, "dark")
    chromium.get(served[1] + path)
    assert brightness(chromium) < 60
    width = chromium.execute_script("return document.documentElement.scrollWidth")
    assert width <= 360, "the page does not scroll sideways; wide tables do so inside their frame"
    shoot(chromium, f"phone-{path.replace('/', '-') or 'state'}")
    scheme(chromium, "light")
    assert brightness(chromium) > 200


def test_the_page_follows_a_running_cycle(chromium: Any, served: tuple[Backend, str]) -> None:
    backend, address = served
    size(chromium, 1200, 900)
    chromium.get(address)
    assert backend.activity is not None
    backend.activity.began("sync")
    backend.activity.moved(Step("target vectors", 40, done=7))
    wait_for(chromium, "#live", "7 of 40")
    shoot(chromium, "running")
    backend.activity.ended("promoted")
    wait_for(chromium, "#live", "last: promoted")


def wait_for(chromium: Any, part: str, text: str) -> None:
    """A page on its way from one to the next has no such part for a moment."""
    give_up, seen = time.monotonic() + 20, ""
    while text not in seen:
        assert time.monotonic() < give_up, seen
        time.sleep(0.1)
        with suppress(NoSuchElementException, StaleElementReferenceException):
            seen = chromium.find_element("css selector", part).text


def test_a_person_logs_in_rolls_back_and_logs_out(chromium: Any, served: tuple[Backend, str]) -> None:
    _, address = served
    size(chromium, 1200, 900)
    chromium.get(address + "login?next=/versions")
    chromium.find_element("name", "token").send_keys(TOKEN)
    chromium.find_element("css selector", "main button").click()
    wait_for(chromium, "main", "In use: version 1")
    assert chromium.current_url == address + "versions"
    shoot(chromium, "logged-in")
    press(chromium, "Roll back to the base")
    wait_for(chromium, "main", "In use: the base, unedited")
    press(chromium, "Roll back to 1")
    wait_for(chromium, "main", "In use: version 1")
    press(chromium, "Log out")
    wait_for(chromium, "header", "Log in")
    assert chromium.find_elements("link text", "Log in") and chromium.get_cookies() == []


def press(chromium: Any, words: str) -> None:
    next(b for b in chromium.find_elements("tag name", "button") if b.text == words).click()
