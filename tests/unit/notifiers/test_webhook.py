"""The webhook, for real: a server on loopback."""

from __future__ import annotations

import socket
import time
from datetime import timedelta

import pytest
from pytest_httpserver import HTTPServer
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from kbsync.domain.errors import NotifierFailed
from kbsync.notifiers.webhook import WebhookNotifier
from tests.support.announcements import NEWS

SECOND = timedelta(seconds=1)


SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


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


@pytest.mark.slow
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
