"""Who may act: log in, roll back, synchronise, and everything that is refused."""

from __future__ import annotations

import pytest

from kbsync.ports import Work
from kbsync.stages.release.promote import current_number
from kbsync.stages.session import Run, writer
from kbsync.web.backend import Backend
from kbsync.web.security import COOKIE
from tests.support.stage_world import TTL, World
from tests.support.web_world import TOKEN, client, log_in


def test_a_wrong_token_opens_nothing(backend: Backend) -> None:
    browser = client(backend, token=TOKEN)
    for wrong in ("", "nonsense", TOKEN + " ", TOKEN[:-1]):
        answer = browser.post("/login", data={"token": wrong})
        assert answer.status_code == 403 and COOKIE not in browser.cookies


@pytest.mark.slow
@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "/\\evil.example", "evil", "/a\nb"])
def test_logging_in_leads_nowhere_else(backend: Backend, target: str) -> None:
    answer = client(backend, token=TOKEN).post("/login", data={"token": TOKEN, "next": target})
    assert answer.headers["location"] == "/"


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.hardening
def test_whoever_copied_the_cookie_is_logged_out_too(backend: Backend) -> None:
    browser = client(backend, token=TOKEN)
    csrf = log_in(browser)
    copied = browser.cookies[COOKIE]
    assert browser.post("/logout", data={"csrf": csrf}).status_code == 303
    browser.cookies.set(COOKIE, copied)
    assert browser.post("/rollback", data={"csrf": csrf, "to": "0"}).status_code == 401
    assert 'name="csrf"' not in browser.get("/versions").text


@pytest.mark.hardening
@pytest.mark.parametrize("path", ["/login", "/rollback", "/sync", "/logout"])
def test_a_form_with_too_many_fields_is_refused_like_an_empty_one(backend: Backend, path: str) -> None:
    body = "&".join(f"field{n}=1" for n in range(21))
    assert client(backend, token=TOKEN).post(path, content=body).status_code in (401, 403)


@pytest.mark.slow
def test_the_cookie_is_for_tls_alone_where_the_proxy_says_so(backend: Backend) -> None:
    answer = client(backend, token=TOKEN).post("/login", data={"token": TOKEN}, headers={"x-forwarded-proto": "https"})
    assert "secure" in answer.headers["set-cookie"].lower()


def test_an_action_while_a_cycle_runs_is_refused(backend_and_world: tuple[Backend, World]) -> None:
    backend, world = backend_and_world
    bearer = {"authorization": f"Bearer {TOKEN}"}
    with writer(Run(ledger=world.ledger, clock=world.clock, work=Work(), actor="somebody"), TTL):
        answer = client(backend, token=TOKEN).post("/rollback", data={"to": "0"}, headers=bearer)
    assert answer.status_code == 409 and "somebody" in answer.text
