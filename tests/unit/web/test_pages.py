"""The status page over HTTP: what it shows, what it demands, and what it refuses."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from kbsync.config import WebSettings
from kbsync.domain.errors import Busy
from kbsync.ports import Work
from kbsync.stages.release.promote import current_number
from kbsync.stages.session import Run, writer
from kbsync.system import log
from kbsync.views.progress import Step
from kbsync.web.app import make_app
from kbsync.web.backend import Backend
from kbsync.web.security import COOKIE, Keys
from tests.support.stage_world import TTL, World
from tests.support.web_world import HOSTILE, TOKEN, make_backend

PATHS = ("/", "/live", "/versions", "/versions/1", "/facts", "/facts/Q183/P6", "/quarantine", "/metrics", "/readyz")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[Backend, World]]:
    backend, world = make_backend(tmp_path)
    yield backend, world
    world.ledger.close()


@pytest.fixture
def backend(place: tuple[Backend, World]) -> Backend:
    return place[0]


def client(backend: Backend, base: str = "http://127.0.0.1", **web: object) -> TestClient:
    return TestClient(make_app(backend, WebSettings.model_validate(web)), base_url=base, follow_redirects=False)


def log_in(browser: TestClient) -> str:
    """The CSRF secret of a new session."""
    assert browser.post("/login", data={"token": TOKEN}).status_code == 303
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', browser.get("/versions").text)
    assert found
    return found.group(1)


@pytest.mark.parametrize("path", (*PATHS, "/healthz", "/login", "/static/style.css", "/static/live.js"))
def test_every_page_answers_and_lets_nothing_from_elsewhere_in(backend: Backend, path: str) -> None:
    answer = client(backend).get(path)
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'") and "unsafe" not in policy and "http" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"<script(?![^>]*src=)|\son\w+=|style=|javascript:", answer.text)
    assert not re.search(r'(?:src|action)="(?!/)', answer.text)


def test_the_pages_tell_what_the_ledger_holds(backend: Backend) -> None:
    browser = client(backend)
    overview = browser.get("/").text
    assert "version 1" in overview and "3 h behind" in overview and "head-of-government" in overview
    version = browser.get("/versions/1").text
    assert "Olaf Scholz" in version and "efficacy" in version and "passed" in version
    fact = browser.get("/facts/Q183/P6").text
    assert "Angela Merkel" in fact and "Olaf Scholz" in fact and "stale" in fact
    assert "https://www.wikidata.org/w/index.php?oldid=" in fact


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
        ("?page=99", {"France", "Germany", "Italy"}),
        ("?page=x", {"France", "Germany", "Italy"}),
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
    for number in (1, 2, 3):
        page = browser.get(f"/facts?page={number}").text
        assert f"page {number} of 3" in page
        seen += re.findall(r'href="(/facts/Q\d+/P\d+)"', page)
    assert len(seen) == len(set(seen)) == 5


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/versions/9", 404),
        ("/facts/Q999/P6", 404),
        ("/facts/Q183/P999", 404),
        ("/facts/nonsense/P6", 400),
        ("/facts?only=everything", 404),
        ("/nowhere", 404),
        ("/static/../app.py", 404),
        ("/static/%2e%2e/app.py", 404),
    ],
)
def test_what_is_not_there_is_said(backend: Backend, path: str, code: int) -> None:
    assert client(backend).get(path).status_code == code


def test_a_version_s_report_is_one_page_without_scripts(tmp_path: Path) -> None:
    backend, world = make_backend(tmp_path)
    browser = client(backend)
    assert '<a href="/versions/1/report">' in browser.get("/versions/1").text
    answer = browser.get("/versions/1/report")
    assert answer.status_code == 200 and "The gate's decision" in answer.text
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'") and "script-src" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "<script" not in answer.text and "<img" not in answer.text
    assert browser.get("/versions/9/report").status_code == 404
    world.ledger.close()


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


def test_from_outside_everything_demands_the_token(backend: Backend) -> None:
    browser = client(backend, "http://kbsync.example", host="0.0.0.0", token=TOKEN)
    for path in PATHS:
        assert browser.get(path).status_code == 401, path
        assert browser.get(path, headers={"accept": "text/html"}).headers["location"].startswith("/login?next=/")
        assert browser.get(path, headers={"authorization": f"Bearer {TOKEN}x"}).status_code == 401
        assert browser.get(path, headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert browser.get("/healthz").status_code == 200
    log_in(browser)
    assert all(browser.get(path).status_code == 200 for path in PATHS)


def test_on_loopback_another_host_name_gets_nothing(backend: Backend) -> None:
    assert client(backend, "http://rebound.example").get("/").status_code == 421
    assert client(backend, "http://localhost:8640").get("/").status_code == 200
    assert client(backend, "http://[::1]:8640").get("/").status_code == 200


def test_a_wrong_token_opens_nothing(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kbsync.web.actions.WRONG_TOKEN_SECONDS", 0.0)
    browser = client(backend, token=TOKEN)
    for wrong in ("", "nonsense", TOKEN + " ", TOKEN[:-1]):
        answer = browser.post("/login", data={"token": wrong})
        assert answer.status_code == 403 and COOKIE not in browser.cookies


def test_a_session_s_cookie_is_not_for_scripts_or_other_sites(backend: Backend) -> None:
    answer = client(backend, token=TOKEN).post("/login", data={"token": TOKEN})
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie and TOKEN not in cookie


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "/\\evil.example", "evil", "/a\nb"])
def test_logging_in_leads_nowhere_else(backend: Backend, target: str) -> None:
    answer = client(backend, token=TOKEN).post("/login", data={"token": TOKEN, "next": target})
    assert answer.headers["location"] == "/"


@pytest.mark.parametrize("path", ["/rollback", "/sync", "/logout"])
def test_an_action_needs_token_and_a_form_of_ours(backend: Backend, path: str) -> None:
    done: list[str] = []
    backend.sync_now = lambda: done.append("sync")
    browser = client(backend, token=TOKEN)
    assert browser.post(path, data={"to": "0"}).status_code == 401
    log_in(browser)
    for csrf in ("", "0" * 64, "é"):
        assert browser.post(path, data={"to": "0", "csrf": csrf}).status_code == 403
    other = client(backend, token=TOKEN)
    assert browser.post(path, data={"to": "0", "csrf": log_in(other)}).status_code == 403
    assert browser.post(path, data={"pad": "x" * 20_000}).status_code == 403
    with backend.ledger.read() as tx:
        assert current_number(tx) == 1 and done == []
    assert client(backend).post(path, data={"to": "0"}).status_code == 401, "without a token nobody may act"
    assert browser.get(path).status_code == 405


def test_rollback_and_sync_now(backend: Backend) -> None:
    asked: list[str] = []
    backend.sync_now = lambda: asked.append("sync")
    browser = client(backend, token=TOKEN)
    csrf = log_in(browser)
    assert "Roll back to the base" in browser.get("/versions").text
    assert browser.post("/rollback", data={"to": "0", "csrf": csrf}).headers["location"] == "/versions"
    assert "Roll back to 1" in browser.get("/versions").text
    bearer = {"authorization": f"Bearer {TOKEN}"}
    assert client(backend, token=TOKEN).post("/rollback", data={"to": "1"}, headers=bearer).status_code == 303
    with backend.ledger.read() as tx:
        assert [e.body["after"] for e in tx.audit() if e.kind == "rollback" and e.actor == "web"] == [0, 1]
    assert browser.post("/rollback", data={"to": "x", "csrf": csrf}).status_code == 400
    assert browser.post("/rollback", data={"to": "7", "csrf": csrf}).status_code == 404
    assert browser.post("/sync", data={"csrf": csrf}).status_code == 303 and asked == ["sync"]
    assert browser.post("/logout", data={"csrf": csrf}).status_code == 303
    assert COOKIE not in browser.cookies


def test_an_action_while_a_cycle_runs_is_refused(place: tuple[Backend, World]) -> None:
    backend, world = place
    bearer = {"authorization": f"Bearer {TOKEN}"}
    with writer(Run(ledger=world.ledger, clock=world.clock, work=Work(), actor="somebody"), TTL):
        answer = client(backend, token=TOKEN).post("/rollback", data={"to": "0"}, headers=bearer)
    assert answer.status_code == 409 and "somebody" in answer.text


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


def test_sessions_end_and_are_not_forged() -> None:
    now = 0.0
    keys = Keys(TOKEN, lambda: now)
    session = keys.session()
    assert keys.holds(session) and not Keys(TOKEN, lambda: now).holds(session), "another process does not know it"
    assert not keys.holds("") and not keys.holds("é.é.é") and not keys.holds(session.replace(".", "9.", 1))
    now = 13 * 3600.0
    assert not keys.holds(session)


def test_the_token_reaches_no_log(backend: Backend) -> None:
    stream = io.StringIO()
    log.set_up("json", "debug", stream)
    browser = client(backend, "http://kbsync.example", host="0.0.0.0", token=TOKEN)
    log_in(browser)
    browser.get("/", headers={"authorization": f"Bearer {TOKEN}"})
    browser.post("/rollback", data={"to": "9"}, headers={"authorization": f"Bearer {TOKEN}"})
    assert TOKEN not in stream.getvalue()
    assert TOKEN not in repr(WebSettings.model_validate({"token": TOKEN}))
