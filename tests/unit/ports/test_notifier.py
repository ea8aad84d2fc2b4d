"""The port of notifiers, and what holds for every one that ships."""

from __future__ import annotations

import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from kbsync.domain.errors import NotifierFailed
from kbsync.notifiers.command import CommandNotifier
from kbsync.notifiers.webhook import WebhookNotifier
from kbsync.ports import Notifier
from tests.support.announcements import NEWS

TIMEOUT = timedelta(seconds=20)


def notifier(kind: str, directory: Path, server: HTTPServer, *, accepts: bool) -> Notifier:
    if kind == "command":
        return CommandNotifier([sys.executable, "-c", f"raise SystemExit({int(not accepts)})"], directory, TIMEOUT)
    server.expect_request("/").respond_with_data("", status=200 if accepts else 500)
    return WebhookNotifier(server.url_for("/"), "a secret of some length", TIMEOUT, time.time)


@pytest.mark.parametrize("kind", ["command", "webhook"])
def test_it_keeps_its_name_and_accepts_the_same_announcement_again(
    kind: str, tmp_path: Path, httpserver: HTTPServer
) -> None:
    receiver = notifier(kind, tmp_path, httpserver, accepts=True)
    assert receiver.name == kind, "the ledger keeps what it was told under this name"
    receiver.deliver(NEWS)
    receiver.deliver(NEWS)


@pytest.mark.parametrize("kind", ["command", "webhook"])
def test_one_that_does_not_accept_says_so(kind: str, tmp_path: Path, httpserver: HTTPServer) -> None:
    with pytest.raises(NotifierFailed) as failed:
        notifier(kind, tmp_path, httpserver, accepts=False).deliver(NEWS)
    assert failed.value.transient


def test_a_notifier_must_deliver() -> None:
    class Mute(Notifier):
        name = "mute"

    with pytest.raises(TypeError, match="deliver"):
        Mute()  # type: ignore[abstract]
