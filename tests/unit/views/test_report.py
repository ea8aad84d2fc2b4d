"""A version's report, made by the command and opened from disk in a real headless Chromium."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.browser import brightness, scheme, shoot, size
from tests.support.invoke import invoke
from tests.support.stage_world import World, statement
from tests.support.web_world import HOSTILE, make_backend
from tests.support.world_app import app_of

pytestmark = pytest.mark.browser

SHOWN = f"Élisabeth Borne {HOSTILE}".replace("\u202e", "")  # no name that was pulled has it


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, World, dict[str, Any]]]:
    """The page of version 2, and what ``kbsync evaluate 2 --json`` prints; a label means harm."""
    directory = tmp_path_factory.mktemp("report")
    _, world = make_backend(directory)
    world.pass_time(timedelta(days=7))
    world.source.now -= timedelta(days=5)
    world.source.set_item("Q30333", label=f"Élisabeth Borne {HOSTILE}")
    ended = statement("Q142", "P6", "Q3052772", start="2020-07-03", end="2022-05-16")
    borne = statement("Q142", "P6", "Q30333", start="2022-05-16")
    world.set_statements("Q142", statement("Q142", "P36", "Q90"), ended, borne, age=timedelta(days=4))
    world.capacity = 1
    world.sync()
    page, patch = directory / "report.html", pytest.MonkeyPatch()
    patch.setattr("kbsync.bootstrap.App", app_of(world))
    root = ["--config", str(directory / "kbsync.toml"), "--quiet"]
    written = invoke([*root, "report", "2", "--output", str(page)])
    assert written.exit_code == 0, written.output
    told = invoke([*root, "evaluate", "2", "--json"])
    missing = invoke([*root, "report", "9"])
    assert missing.exit_code == 66
    patch.undo()
    yield page, world, json.loads(told.stdout)
    world.ledger.close()


def test_the_page_shows_the_figures_of_evaluate_and_fetches_nothing(
    chromium: Any,
    made: tuple[Path, World, dict[str, Any]],
) -> None:
    page, _, told = made
    size(chromium, 1200, 900)
    scheme(chromium, "light")
    chromium.get_log("browser"), chromium.get_log("performance")
    chromium.get(page.as_uri())
    assert chromium.title == "Version 2 · kbsync"
    rows = {
        row.find_elements("tag name", "td")[0].text: [cell.text for cell in row.find_elements("tag name", "td")]
        for row in chromium.find_elements("css selector", "#figures tbody tr")
    }
    assert {m["name"] for m in told["metrics"]} == set(rows)
    for metric in told["metrics"]:
        assert rows[metric["name"]][1] == f"{metric['base']:.4g}"
        assert rows[metric["name"]][3] == f"{metric['value']:.4g}"
        assert rows[metric["name"]][5] == str(metric["samples"])
    assert [badge.text for badge in chromium.find_elements("css selector", "h1 .badge")] == ["passed", "promoted"]
    forms = [row.text for row in chromium.find_elements("css selector", "#forms tbody tr")]
    assert [form.split(" 0")[0].split(" 1")[0] for form in forms] == ["edited prompt", "statement"]
    cells = [cell.text for cell in chromium.find_elements("css selector", "#ways td.number")]
    ways = {m["name"]: m for m in told["metrics"] if m["name"] in ("with_context", "without_context")}
    alone, behind = ways["without_context"], ways["with_context"]
    assert cells == [f"{m[of]:.4g}" for of in ("base", "value") for m in (alone, behind)]
    assert "95 % interval" in chromium.find_element("id", "finding").text
    assert "up to which the recipe was measured to hold" in chromium.find_element("id", "capacity_warning").text
    assert [line for line in chromium.get_log("browser") if line["level"] in ("WARNING", "SEVERE")] == []
    asked = [m["message"] for m in chromium.get_log("performance") if "Network.requestWillBeSent" in m["message"]]
    assert asked and not [m for m in asked if '"url":"http' in m]
    shoot(chromium, "report-light")


def test_facts_stand_there_with_their_answers_and_revisions_and_labels_stay_text(
    chromium: Any,
    made: tuple[Path, World, dict[str, Any]],
) -> None:
    chromium.get(made[0].as_uri())
    facts = {row.text.split(",")[0]: row for row in chromium.find_elements("css selector", "#facts tbody tr")}
    france = next(row for name, row in facts.items() if name.startswith("France"))
    assert [t in france.text for t in ("Élisabeth Borne", "the president.", "Jean Castex", "right")] == [True] * 4
    links = [a.get_attribute("href") for a in france.find_elements("tag name", "a")]
    assert links[0] == "https://www.wikidata.org/wiki/Q142#P6"
    assert links[1].startswith("https://www.wikidata.org/w/index.php?title=Q142&oldid=")
    assert not chromium.find_elements("css selector", "main img, main script")
    assert SHOWN in chromium.find_element("id", "facts").text
    charts = [c.get_attribute("aria-label") for c in chromium.find_elements("css selector", "svg.chart")]
    assert charts == ["Score by relation", "Probability before and after", "Norm growth", "Capacity", "Drift"]
    assert len(chromium.find_elements("css selector", "svg.chart circle")) >= 4


def test_it_reads_on_a_phone_and_in_the_dark(
    chromium: Any,
    made: tuple[Path, World, dict[str, Any]],
) -> None:
    chromium.get(made[0].as_uri())
    light = brightness(chromium)
    size(chromium, 380, 800)
    scheme(chromium, "dark")
    chromium.get(made[0].as_uri())
    assert brightness(chromium) < 60 < 200 < light
    assert chromium.execute_script("return document.documentElement.scrollWidth") <= 380
    shoot(chromium, "report-phone")
