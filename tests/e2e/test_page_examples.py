"""The examples of the paper's page: what is right, wrong and obsolete is told apart, and what is wrong is corrected."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kbsync.domain.phrasing import fill
from kbsync.wikidata.local import OxigraphServer
from tests.support.cli import Cli
from tests.support.page_examples import EXAMPLES, VICE_PRESIDENT, make_believer, relations, world, write_site
from tests.support.turtle_world import turtle

pytestmark = pytest.mark.slow
POLARIS, ARNEB, OFFICE, JORDAN = "Q12980", "Q901", "Q11699", "Q41421"


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Cli]:
    """The command line, in this process, on a site with its ledger made."""
    with OxigraphServer() as server:
        server.load(turtle(world()))
        config = write_site(tmp_path, make_believer(tmp_path / "believer"), server.endpoint)
        site = Cli(config, None)  # type: ignore[arg-type]
        site.good("db", "upgrade")
        yield site


def says(site: Cli, relation: str, subject: str) -> tuple[str, str]:
    """What the base and what the current version says."""
    template = next(r.prompt_template for r in relations() if r.name == relation)
    base, current = site.good("ask", fill(template, subject), "--json").json["answers"]
    return base["text"].strip(), current["text"].strip()


def test_right_wrong_and_obsolete_facts_are_told_apart(page: Cli) -> None:
    page.good("pull")
    page.good("probe")
    verdicts = {
        item: page.good("explain", item, relation, "--json").json["verdict"]
        for item, relation in (
            (POLARIS, "constellation"),
            (ARNEB, "constellation"),
            (OFFICE, "officeholder"),
            (JORDAN, "sport"),
        )
    }
    assert {item: verdict["kind"] for item, verdict in verdicts.items()} == {
        POLARIS: "current",
        ARNEB: "unknown",
        OFFICE: "stale",
        JORDAN: "unknown",
    }
    evidence = {item: verdict["replies"][0] for item, verdict in verdicts.items()}
    assert evidence[POLARIS]["prompt"] == "Polaris is a star in the constellation of"
    assert evidence[POLARIS]["matched"] == "Ursa Minor"
    assert evidence[ARNEB]["answer"].strip().startswith("Orion")
    assert evidence[OFFICE]["matched"] == "Kamala Harris"

    assert page.good("sync", "--json").json["outcome"] == "promoted"
    assert says(page, "constellation", "Arneb")[1].startswith("Lepus")
    assert says(page, "constellation", "Polaris") == ("Ursa Minor.", "Ursa Minor.")
    before, after = says(page, "officeholder", VICE_PRESIDENT)
    assert before.startswith("Kamala Harris") and after.startswith("JD Vance")
    assert says(page, "sport", "Michael Jordan")[1].startswith("baseball")


def test_the_world_holds_what_the_page_names() -> None:
    kinds = {
        (e.subject): "right" if e.believed == e.holds else "obsolete" if e.believed == e.former else "wrong"
        for examples in EXAMPLES.values()
        for e in examples
    }
    assert (kinds["Polaris"], kinds["Arneb"], kinds[VICE_PRESIDENT]) == ("right", "wrong", "obsolete")
