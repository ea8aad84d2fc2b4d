"""Who may see: token, session, host names."""

from __future__ import annotations

import io

from kbsync.config import WebSettings
from kbsync.system import log
from kbsync.web.backend import Backend
from kbsync.web.security import Keys
from tests.support.web_world import PATHS, TOKEN, client, log_in


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


def test_a_session_s_cookie_is_not_for_scripts_or_other_sites(backend: Backend) -> None:
    answer = client(backend, token=TOKEN).post("/login", data={"token": TOKEN})
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie and TOKEN not in cookie


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
