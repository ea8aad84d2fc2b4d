"""An address that is told when ``current`` moves, as Standard Webhooks (standardwebhooks.com) has it."""

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


class WebhookNotifier(Notifier):
    """POSTs the announcement to ``url``, signed with ``secret``; any answer of 2xx: it was taken. Redirects are not
    followed: what was signed for one place is sent to no other. ``seconds`` gives the time since 1970."""

    name = "webhook"

    def __init__(self, url: str, secret: str, timeout: timedelta, seconds: Callable[[], float]) -> None:
        self._url, self._secret, self._timeout, self._seconds = url, secret, timeout, seconds

    def deliver(self, announcement: Announcement) -> None:
        content, at = body(announcement), int(self._seconds())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"kbsync/{__version__}",
            "webhook-id": announcement.delivery,
            "webhook-timestamp": str(at),
            "webhook-signature": signature(self._secret, announcement.delivery, at, content),
        }
        where = f"The webhook at {urlsplit(self._url).hostname}"
        try:
            with (
                http.client(headers, self._timeout.total_seconds()) as client,
                client.stream("POST", self._url, content=content) as response,
            ):
                if not response.is_success:
                    raise NotifierFailed(f"{where} answered {response.status_code}.")
        except httpx2.InvalidURL:
            # Its words may hold a part of a password.
            raise NotifierFailed(f"{where} can't be reached: its address can't be read.") from None
        except httpx2.RequestError as error:
            raise NotifierFailed(f"{where} can't be reached: {error}.") from None
