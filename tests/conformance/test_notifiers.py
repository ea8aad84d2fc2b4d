"""The notifiers: the fake, a command that runs, and a webhook to a server on loopback."""

from __future__ import annotations

import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from kbsync.notifiers.command import CommandNotifier
from kbsync.notifiers.webhook import WebhookNotifier
from kbsync.testing import FakeNotifier
from kbsync.testing.conformance import NotifierConformance, Receiver
from tests.support.oxigraph_server import free_port

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PATIENCE = timedelta(seconds=20)
PROGRAM = """
import os, pathlib, sys
if pathlib.Path("refuses").exists():
    sys.exit(1)
with open("heard", "a") as heard:
    heard.write(os.environ["KBSYNC_DELIVERY"] + "\\n")
"""


class FakeReceiver(Receiver):
    def __init__(self) -> None:
        self.notifier: FakeNotifier = FakeNotifier()

    def heard(self) -> list[str]:
        return [announcement.delivery for announcement in self.notifier.heard]

    def refuse(self) -> None:
        self.notifier.deaf = True

    def accept(self) -> None:
        self.notifier.deaf = False


class ProgramReceiver(Receiver):
    """A program that writes down what it is told, and fails while the file ``refuses`` is there."""

    def __init__(self, directory: Path) -> None:
        self.notifier = CommandNotifier([sys.executable, "-c", PROGRAM], directory, PATIENCE)
        self._heard, self._refuses = directory / "heard", directory / "refuses"

    def heard(self) -> list[str]:
        return self._heard.read_text().split() if self._heard.exists() else []

    def refuse(self) -> None:
        self._refuses.touch()

    def accept(self) -> None:
        self._refuses.unlink()


class ServerReceiver(Receiver):
    """A server that takes every request, or answers 503 to each."""

    def __init__(self, server: HTTPServer) -> None:
        self.notifier = WebhookNotifier(server.url_for("/told"), SECRET, PATIENCE, time.time)
        self._status = 200
        self._taken: list[str] = []
        server.expect_request("/told", method="POST").respond_with_handler(self._answer)

    def heard(self) -> list[str]:
        return self._taken

    def refuse(self) -> None:
        self._status = 503

    def accept(self) -> None:
        self._status = 200

    def _answer(self, request: Request) -> Response:
        if self._status == 200:
            self._taken.append(request.headers["webhook-id"])
        return Response(status=self._status)


class TestFakeNotifier(NotifierConformance):
    @pytest.fixture
    def receiver(self) -> FakeReceiver:
        return FakeReceiver()

    @pytest.fixture
    def unreachable(self) -> FakeNotifier:
        notifier = FakeNotifier()
        notifier.deaf = True
        return notifier


class TestCommandNotifier(NotifierConformance):
    @pytest.fixture
    def receiver(self, tmp_path: Path) -> ProgramReceiver:
        return ProgramReceiver(tmp_path)

    @pytest.fixture(params=["missing", "hanging"])
    def unreachable(self, request: pytest.FixtureRequest, tmp_path: Path) -> CommandNotifier:
        if request.param == "missing":
            return CommandNotifier([str(tmp_path / "nothing")], tmp_path, PATIENCE)
        sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
        return CommandNotifier(sleeper, tmp_path, timedelta(seconds=1))


class TestWebhookNotifier(NotifierConformance):
    @pytest.fixture
    def receiver(self, httpserver: HTTPServer) -> ServerReceiver:
        return ServerReceiver(httpserver)

    @pytest.fixture
    def unreachable(self) -> WebhookNotifier:
        return WebhookNotifier(f"http://127.0.0.1:{free_port()}/", SECRET, timedelta(seconds=5), time.time)
