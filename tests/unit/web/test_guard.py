"""Who may see: token, session, host names; how many at once; and what becomes of an error that nobody expected."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import pytest
from starlette.testclient import TestClient
from starlette.types import Message

from kbsync.config import WebSettings
from kbsync.system import log
from kbsync.web import guard as module
from kbsync.web.app import make_app
from kbsync.web.backend import Backend
from tests.support.web_world import PATHS, TOKEN, client, log_in


@pytest.mark.slow
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


@pytest.mark.hardening
def test_an_unexpected_error_is_one_line_of_the_log(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    log.set_up("console", "info", stream)

    def broken() -> None:
        raise RuntimeError("a secret that the message holds")

    monkeypatch.setattr(backend, "snapshot", broken)
    browser = TestClient(make_app(backend, WebSettings()), "http://127.0.0.1", raise_server_exceptions=False)
    assert browser.get("/versions").status_code == 500
    said = stream.getvalue()
    assert said.count("\n") == 1 and "RuntimeError" in said and "test_guard.py" in said
    assert "secret" not in said and "Traceback" not in said


@pytest.mark.slow
@pytest.mark.hardening
@pytest.mark.parametrize(
    "path", ["/versions/1" + "0" * 30, "/versions/" + "9" * 5000, "/versions/²", "/facts/Q1/P" + "9" * 5000]
)
@pytest.mark.parametrize("after", ["", "/report"])
def test_numbers_that_no_version_can_have_are_not_found(backend: Backend, path: str, after: str) -> None:
    assert client(backend).get(path + after).status_code == 404


@pytest.mark.hardening
def test_a_client_that_goes_away_in_the_middle_of_a_form_is_no_error(backend: Backend) -> None:
    stream = io.StringIO()
    log.set_up("console", "info", stream)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(_message: Message) -> None: ...

    async def call() -> None:
        await make_app(backend, WebSettings())(scope("/login"), receive, send)

    asyncio.run(call())
    assert stream.getvalue() == ""


@pytest.mark.hardening
def test_beyond_so_many_at_once_only_health_answers(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_AT_ONCE", 0)
    browser = client(backend)
    assert browser.get("/versions").status_code == 503 and browser.get("/versions").headers["retry-after"] == "1"
    assert browser.get("/healthz").status_code == 200
    assert backend.metrics.registry.get_sample_value("kbsync_web_denied_total", {"reason": "busy"}) == 2


@pytest.mark.hardening
def test_forms_that_never_end_keep_nobody_out(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_AT_ONCE", 1)
    app = make_app(backend, WebSettings.model_validate({"token": TOKEN}))

    async def both() -> list[Message]:
        async def never() -> Message:
            await asyncio.sleep(60)
            raise AssertionError("nobody waits so long")

        async def ignore(_message: Message) -> None: ...

        async def half() -> None:
            await app(scope("/login"), never, ignore)

        slow = [asyncio.create_task(half()) for _ in range(5)]
        await asyncio.sleep(0)
        sent: list[Message] = []

        async def keep(message: Message) -> None:
            sent.append(message)

        await app(scope("/static/kbsync.css", "GET"), never, keep)
        for task in slow:
            task.cancel()
        return sent

    assert asyncio.run(both())[0]["status"] != 503


def scope(path: str, method: str = "POST") -> dict[str, Any]:
    return {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "scheme": "http",
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }
