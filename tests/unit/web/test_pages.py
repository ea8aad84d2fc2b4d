"""What the pages show."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from kbsync.config import load_all
from kbsync.daemon.activity import Activity
from kbsync.daemon.metrics import ProcessMetrics
from kbsync.domain.errors import Busy
from kbsync.ledger.ledger import SqlLedger
from kbsync.views.progress import Step
from kbsync.web.backend import Backend
from tests.support.sqlite_ledger import empty_ledger
from tests.support.two_hop_world import IMPLYING, two_hop_world
from tests.support.web_world import HOSTILE, PATHS, client, make_backend
from tests.support.world_app import MAIN, app_of, write_configuration


@pytest.mark.slow
def test_the_pages_tell_what_the_ledger_holds(backend: Backend) -> None:
    browser = client(backend)
    overview = browser.get("/").text
    assert "version 1" in overview and "3 h behind" in overview and "head-of-government" in overview
    version = browser.get("/versions/1").text
    assert "However it is asked" in version and "edited prompt" in version
    assert "Olaf Scholz" in version and "efficacy" in version and "passed" in version
    fact = browser.get("/facts/Q183/P6").text
    assert "Angela Merkel" in fact and "Olaf Scholz" in fact and "stale" in fact
    assert "https://www.wikidata.org/w/index.php?oldid=" in fact


@pytest.mark.slow
@pytest.mark.parametrize(
    ("query", "subjects"),
    [
        ("", {"France", "Germany", "Italy"}),
        ("?q=germ", {"Germany"}),
        ("?q=Q38", {"Italy"}),
        ("?q=olaf", {"Germany"}),
        ("?only=stale", {"Germany"}),
        ("?only=unknown", {"France"}),
        ("?relation=capital&q=nowhere", set()),
        ("?only=quarantined", set()),
        ("?after=nonsense", {"France", "Germany", "Italy"}),
        ("?after=head-of-government~", {"France", "Germany"}),
        ("?after=capital~Q99%00", {"France", "Germany"}),
        ("?q=%00&after=%00", {"France", "Germany", "Italy"}),
    ],
)
def test_facts_are_searched_and_filtered(backend: Backend, query: str, subjects: set[str]) -> None:
    page = client(backend).get(f"/facts{query}")
    assert page.status_code == 200
    assert set(re.findall(r'href="/facts/Q\d+/P\d+"><bdi>([^<]+)<', page.text)) == subjects


def test_facts_are_paged(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kbsync.views.fact_list.PAGE", 2)
    browser = client(backend)
    seen: list[str] = []
    address: str | None = "/facts"
    while address:
        page = browser.get(address).text
        assert "5 facts" in page
        seen += re.findall(r'href="(/facts/Q\d+/P\d+)"', page)
        following = re.search(r'rel="next" href="([^"]+)"', page)
        address = html.unescape(following[1]) if following else None
    assert len(seen) == len(set(seen)) == 5


@pytest.mark.slow
def test_a_version_s_report_is_one_page_without_scripts(backend: Backend) -> None:
    browser = client(backend)
    assert '<a href="/versions/1/report">' in browser.get("/versions/1").text
    answer = browser.get("/versions/1/report")
    assert answer.status_code == 200 and "The gate's decision" in answer.text
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'") and "script-src" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "<script" not in answer.text and "<img" not in answer.text
    assert browser.get("/versions/9/report").status_code == 404


@pytest.mark.slow
def test_hostile_labels_are_text(tmp_path: Path) -> None:
    backend, world = make_backend(tmp_path, hostile=True)
    browser = client(backend)
    for path in (*PATHS, "/facts?q=germany", f"/facts?q={HOSTILE}", "/facts/Q183/P36", f"/login?next={HOSTILE}"):
        text = browser.get(path).text
        assert "<script>document" not in text and "<img" not in text and "\u202e" not in text, path
    assert "&lt;script&gt;" in browser.get("/facts").text
    assert "\\u202e" in browser.get("/facts").text
    world.ledger.close()


def test_while_a_cycle_runs_the_live_part_moves(backend: Backend) -> None:
    browser = client(backend)
    assert backend.activity is not None
    backend.activity.began("sync")
    backend.activity.moved(Step("target vectors", 40, done=7))
    assert "running: target vectors" in browser.get("/live").text and "7 of 40" in browser.get("/live").text
    backend.activity.ended("promoted")
    assert "idle" in browser.get("/live").text and "last: promoted" in browser.get("/live").text


def test_readiness_says_what_is_wrong(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = client(backend)
    assert browser.get("/readyz").json() == {"ready": True, "reasons": []}
    backend.trouble = lambda: "the cycle is stuck"

    def fail() -> None:
        raise Busy("The ledger is locked.")

    monkeypatch.setattr(backend.ledger, "read", fail)
    answer = browser.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"ready": False, "reasons": ["the cycle is stuck", "The ledger is locked."]}
    assert "kbsync_ledger_up 0.0" in browser.get("/metrics").text


@pytest.mark.slow
def test_metrics_tell_the_ledger_and_the_process(backend: Backend) -> None:
    backend.metrics.step_ended("probe", 3.0)
    backend.metrics.cycle_ended("promoted", 12.0, ok=True)
    backend.metrics.failed(Busy("somebody"))
    backend.metrics.version_built(["add", "add", "change"], passed=True)
    families = text_string_to_metric_families(client(backend).get("/metrics").text)
    samples = {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}
    assert samples["kbsync_source_lag_seconds",] == timedelta(hours=3).total_seconds()
    assert samples["kbsync_facts", "head-of-government", "stale"] == 1
    assert samples["kbsync_facts", "capital", "current"] == 3
    assert samples["kbsync_version_current",] == samples["kbsync_gate_passed",] == 1
    assert samples["kbsync_queue",] == 0 and samples["kbsync_edited_facts",] == 2
    assert samples["kbsync_gate_figure", "efficacy", "version"] == 1
    assert samples["kbsync_cycles_total", "promoted"] == samples["kbsync_errors_total", "Busy", "true"] == 1
    assert samples["kbsync_stage_seconds_sum", "probe"] == 3 and samples["kbsync_cycle_seconds_sum",] == 12
    assert samples["kbsync_edits_total", "add"] == 2


@pytest.mark.slow
def test_a_consequence_has_a_page_that_says_what_it_follows_from(tmp_path: Path) -> None:
    found = replace(load_all(write_configuration(tmp_path, MAIN)), relations=IMPLYING)
    ledger = SqlLedger(empty_ledger(tmp_path / "ledger.sqlite3"))
    world = two_hop_world(ledger)
    assert world.sync().outcome == "promoted"
    backend = Backend(
        configuration=lambda: found,
        ledger=ledger,
        application=app_of(world),
        clock=world.clock,
        metrics=ProcessMetrics(),
        activity=Activity(world.clock),
    )
    browser = client(backend)
    assert 'href="/facts/Q183/P6/P26"' in browser.get("/versions/1").text
    page = browser.get("/facts/Q183/P6/P26").text
    assert "follows from Q183 P6 and Q61053 P26" in page and "Britta Ernst" in page
    assert "implies" in browser.get("/facts/Q183/P6").text
    assert "spouse of the head of government" in browser.get("/versions/1/report").text
    assert browser.get("/facts/Q183/P6/P19").status_code == 404
    ledger.close()
