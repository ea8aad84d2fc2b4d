"""Who may act: token, sessions, and what is told of wrong tokens."""

from __future__ import annotations

import io
import json

import pytest

from kbsync.config import WebSettings
from kbsync.system import log
from kbsync.web.backend import Backend
from kbsync.web.brake import FREE
from kbsync.web.security import Keys
from tests.support.web_world import TOKEN, client, log_in


@pytest.mark.slow
def test_a_session_s_cookie_is_not_for_scripts_or_other_sites(backend: Backend) -> None:
    answer = client(backend, token=TOKEN).post("/login", data={"token": TOKEN})
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie and TOKEN not in cookie


def ignore(_reason: str) -> None: ...


def test_sessions_end_and_are_not_forged() -> None:
    now = 0.0
    keys = Keys(TOKEN, lambda: now, ignore)
    session = keys.session()
    assert keys.holds(session) and not Keys(TOKEN, lambda: now, ignore).holds(session), "another process has others"
    assert not keys.holds("") and not keys.holds("é.é.é") and not keys.holds(session + "9")
    other = keys.session()
    keys.end(other)
    assert keys.holds(session) and not keys.holds(other)
    now = 13 * 3600.0
    assert not keys.holds(session)


@pytest.mark.slow
def test_the_token_reaches_no_log(backend: Backend) -> None:
    stream = io.StringIO()
    log.set_up("json", "debug", stream)
    browser = client(backend, "http://kbsync.example", host="0.0.0.0", token=TOKEN)
    log_in(browser)
    browser.get("/", headers={"authorization": f"Bearer {TOKEN}"})
    browser.post("/rollback", data={"to": "9"}, headers={"authorization": f"Bearer {TOKEN}"})
    assert TOKEN not in stream.getvalue()
    assert TOKEN not in repr(WebSettings.model_validate({"token": TOKEN}))


def test_the_oldest_session_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kbsync.web.security.MOST_SESSIONS", 2)
    keys = Keys(TOKEN, lambda: 0.0, ignore)
    sessions = [keys.session() for _ in range(3)]
    assert [keys.holds(session) for session in sessions] == [False, True, True]


@pytest.mark.slow
@pytest.mark.hardening
@pytest.mark.parametrize("outside", [False, True])
def test_guessing_is_braked_logged_and_counted(
    backend: Backend, outside: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kbsync.web.brake.INTERVAL", 1000.0)
    monkeypatch.setattr("kbsync.web.guard.HELD_SECONDS", 0.0)
    stream = io.StringIO()
    log.set_up("json", "info", stream)
    web = {"host": "0.0.0.0"} if outside else {}
    browser = client(backend, "http://127.0.0.1", token=TOKEN, **web)
    answers = []
    for number in range(30):
        guess = {"authorization": f"Bearer guess {number}"}
        answers.append(browser.post("/rollback", data={"to": "0"}, headers=guess).status_code)
        answers.append(browser.post("/login", data={"token": f"guess {number}"}).status_code)
    assert set(answers[:8]) == {401, 403} and set(answers[-8:]) == {429}
    right = {"authorization": f"Bearer {TOKEN}"}
    assert browser.post("/rollback", data={"to": "0"}, headers=right).status_code == 429, "not looked at either"
    count = backend.metrics.registry.get_sample_value
    wrong = count("kbsync_web_denied_total", {"reason": "wrong"}) or 0
    braked = count("kbsync_web_denied_total", {"reason": "braked"}) or 0
    assert wrong == FREE and wrong + braked == 61
    lines = [json.loads(line) for line in stream.getvalue().splitlines() if "token denied" in line]
    assert len(lines) == wrong + 1, "tokens that are not looked at are told once in a while"
    assert "guess" not in stream.getvalue()


@pytest.mark.slow
@pytest.mark.hardening
def test_a_session_goes_on_while_others_guess(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kbsync.web.guard.HELD_SECONDS", 0.0)
    browser = client(backend, token=TOKEN)
    csrf = log_in(browser)
    for number in range(20):
        browser.post("/login", data={"token": f"guess {number}"})
    assert browser.post("/rollback", data={"to": "0", "csrf": csrf}).status_code == 303
