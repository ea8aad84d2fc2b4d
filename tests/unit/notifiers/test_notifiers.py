"""The command and the webhook, for real: a program that runs, and a server on loopback."""

from __future__ import annotations

import json
import socket
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from kbsync.domain.announcement import Announcement
from kbsync.domain.errors import NotifierFailed
from kbsync.notifiers.command import CommandNotifier
from kbsync.notifiers.webhook import WebhookNotifier

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NEWS = Announcement(
    alias="current",
    move=7,
    version=3,
    hash="a" * 64,
    moved_at=datetime(2026, 3, 1, tzinfo=UTC),
    path="/var/lib/kbsync/current",
)
SECOND = timedelta(seconds=1)


def command(directory: Path, code: str, timeout: timedelta = 20 * SECOND) -> CommandNotifier:
    return CommandNotifier([sys.executable, "-c", code], directory, timeout)


def test_a_command_hears_everything_on_its_standard_input(tmp_path: Path) -> None:
    code = "import os, sys; open('heard', 'w').write(os.environ['KBSYNC_DELIVERY'] + '\\n' + sys.stdin.read())"
    command(tmp_path, code).deliver(NEWS)
    delivery, said = (tmp_path / "heard").read_text().split("\n")
    assert delivery == NEWS.delivery
    assert json.loads(said)["data"] == {
        "alias": "current",
        "delivery": NEWS.delivery,
        "hash": "a" * 64,
        "move": 7,
        "moved_at": "2026-03-01T00:00:00.000000Z",
        "path": "/var/lib/kbsync/current",
        "version": 3,
    }


def test_a_command_that_fails_is_told_of_with_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(NotifierFailed, match="code 3: no room"):
        command(tmp_path, "import sys; print('no\\nroom', file=sys.stderr); sys.exit(3)").deliver(NEWS)
    with pytest.raises(NotifierFailed, match="No such file"):
        CommandNotifier(["/nowhere/at-all"], tmp_path, SECOND).deliver(NEWS)


def test_a_command_that_hangs_is_killed_with_what_it_started(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "open('child', 'w').write(str(child.pid))\ntime.sleep(600)\n"
    )
    with pytest.raises(NotifierFailed, match="did not end"):
        command(tmp_path, code, 3 * SECOND).deliver(NEWS)
    child = int((tmp_path / "child").read_text())
    end = time.monotonic() + 20
    while _lives(child) and time.monotonic() < end:
        time.sleep(0.05)
    assert not _lives(child)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def webhook(url: str, secret: str = SECRET) -> WebhookNotifier:
    return WebhookNotifier(url, secret, 5 * SECOND, time.time)


def test_a_webhook_is_signed_as_the_standard_has_it(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/hook", method="POST").respond_with_data("thanks", status=202)
    webhook(httpserver.url_for("/hook")).deliver(NEWS)
    request, _ = httpserver.log[0]
    headers = {k.lower(): v for k, v in request.headers.items()}
    verified = Verifier(SECRET).verify(request.get_data(), headers)
    assert headers["webhook-id"] == NEWS.delivery == verified["data"]["delivery"]
    assert verified["type"] == "current.moved"
    with pytest.raises(WebhookVerificationError):
        Verifier(SECRET).verify(request.get_data().replace(b'"version":3', b'"version":4'), headers)


@pytest.mark.parametrize("status", [302, 400, 410, 500, 503])
def test_whatever_is_not_2xx_is_a_failure(httpserver: HTTPServer, status: int) -> None:
    elsewhere = {"Location": httpserver.url_for("/elsewhere")}
    httpserver.expect_request("/hook").respond_with_data("no", status=status, headers=elsewhere)
    httpserver.expect_request("/elsewhere").respond_with_data("ok")
    with pytest.raises(NotifierFailed, match=f"answered {status}"):
        webhook(httpserver.url_for("/hook")).deliver(NEWS)
    assert len(httpserver.log) == 1, "what is signed for one place goes to no other"


def test_a_server_that_is_not_there_or_says_nothing_is_a_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(NotifierFailed, match="can't be reached"):
            WebhookNotifier(f"http://127.0.0.1:{port}/", SECRET, SECOND, time.time).deliver(NEWS)
    with pytest.raises(NotifierFailed, match="can't be reached"):
        webhook(f"http://user:hunter2@127.0.0.1:{port}/").deliver(NEWS)


def test_a_message_never_holds_the_secret_or_the_address_with_a_password() -> None:
    with pytest.raises(NotifierFailed) as failed:
        webhook("http://user:hunter2@127.0.0.1:9/token-in-path", "plain secret of sixteen").deliver(NEWS)
    assert not [s for s in ("hunter2", "token-in-path", "plain secret") if s in str(failed.value)]
    with pytest.raises(NotifierFailed, match="can't be reached") as failed:
        webhook("http://user:hunter2/3@127.0.0.1:9/").deliver(NEWS)
    assert "hunter2" not in str(failed.value)


def test_delivery_ids_are_one_a_move() -> None:
    assert NEWS.delivery == Announcement(**{**_fields(NEWS), "path": "/elsewhere"}).delivery
    others = [{"move": 8}, {"version": 4}, {"moved_at": NEWS.moved_at + SECOND}]
    assert len({Announcement(**{**_fields(NEWS), **o}).delivery for o in others} | {NEWS.delivery}) == 4


def _fields(news: Announcement) -> dict:
    return {name: getattr(news, name) for name in Announcement.__dataclass_fields__}
