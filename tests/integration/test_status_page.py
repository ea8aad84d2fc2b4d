"""The status page in a real headless Chromium: labels stay text, nothing is blocked or fetched from elsewhere, the page
follows a running cycle, and it can be read on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kbsync.config import WebSettings
from kbsync.views.progress import Step
from kbsync.web.backend import Backend
from kbsync.web.server import serving
from tests.support.browser import brightness, press, scheme, shoot, size, wait_for
from tests.support.web_world import HOSTILE, TOKEN, make_backend

pytestmark = pytest.mark.browser

LABEL = f"Germany {HOSTILE}".replace("\u202e", "\\u202e")
PAGES = ("", "versions", "versions/1", "versions/1/report", "facts", "facts/Q183/P6", "quarantine", "login")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Backend, str]]:
    backend, world = make_backend(tmp_path_factory.mktemp("backend"), hostile=True)
    backend.sync_now = lambda: None
    with serving(backend, WebSettings.model_validate({"port": 0, "token": TOKEN})) as address:
        yield backend, address
    world.ledger.close()


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
