"""An address that is posted to when ``current`` moves, as Standard Webhooks (standardwebhooks.com) defines it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from urllib.parse import urlsplit

import httpx2

from kbsync import __version__
from kbsync.domain.announcement import Announcement
from kbsync.domain.errors import NotifierFailed
from kbsync.notifiers.body import body, signature
from kbsync.ports import Notifier
from kbsync.system import http
from kbsync.system.hidden import hidden


class WebhookNotifier(Notifier):
    """Posts the announcement, signed. Any answer of 2xx means that it was accepted.

    Redirects are not followed: what was signed for one place is sent to no other.

    Args:
        secret: Signs the body; ``whsec_`` and base64, or any text.
        timeout: Longest silence while connecting, sending, and waiting for the answer.
        seconds: Returns the current time in seconds since 1970.
    """

    name = "webhook"

    def __init__(self, url: str, secret: str, timeout: timedelta, seconds: Callable[[], float]) -> None:
        self._url, self._secret, self._timeout, self._seconds = url, secret, timeout, seconds

    def deliver(self, announcement: Announcement) -> None:
        """Post once. Raises ``NotifierFailed``, whose message names the host, and neither path, password nor secret."""
        content, at = body(announcement), int(self._seconds())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"kbsync/{__version__}",
            "webhook-id": announcement.delivery,
            "webhook-timestamp": str(at),
            "webhook-signature": signature(self._secret, announcement.delivery, at, content),
        }
        receiver = f"The webhook at {urlsplit(self._url).hostname}"
        try:
            seconds = self._timeout.total_seconds()
            with http.client(headers, seconds) as client:
                response = http.ask(client, "POST", self._url, content=content, within=2 * seconds, read=False)
            if not response.is_success:
                raise NotifierFailed(f"{receiver} answered {response.status}.")
        except httpx2.InvalidURL:
            # The library's message may repeat a part of a password.
            raise NotifierFailed(f"{receiver} can't be reached: its address can't be read.") from None
        except httpx2.RequestError as error:
            raise NotifierFailed(f"{receiver} can't be reached: {hidden(str(error))}.") from None
