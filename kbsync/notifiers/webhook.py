"""An address that is told when ``current`` moves, as Standard Webhooks (standardwebhooks.com) has it."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from kbsync import __version__
from kbsync.domain.announcement import Announcement
from kbsync.domain.errors import NotifierFailed
from kbsync.notifiers.body import body, signature
from kbsync.ports import Notifier


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
        request = urllib.request.Request(self._url, data=content, headers=headers, method="POST")
        where = f"The webhook at {urlsplit(self._url).hostname}"
        try:
            with _OPENER.open(request, timeout=self._timeout.total_seconds()):
                return
        except urllib.error.HTTPError as error:
            error.close()
            raise NotifierFailed(f"{where} answered {error.code}.") from None
        except (OSError, http.client.HTTPException) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            raise NotifierFailed(f"{where} can't be reached: {reason}.") from None


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_arguments: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_Stay)
