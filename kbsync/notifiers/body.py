"""What a notifier is given, and the signature that vouches for it (Standard Webhooks 1.0, symmetric)."""

from __future__ import annotations

import base64
import hashlib
import hmac

from kbsync.domain.announcement import Announcement
from kbsync.domain.canonical import canonical_json, plain

_PREFIX = "whsec_"


def body(announcement: Announcement) -> bytes:
    """Canonical JSON: ``type`` and ``timestamp`` as Standard Webhooks has them, ``data`` with the announcement."""
    data = plain(announcement) | {"delivery": announcement.delivery}
    return canonical_json({"type": "current.moved", "timestamp": announcement.moved_at, "data": data}).encode()


def signature(secret: str, delivery: str, at: int, content: bytes) -> str:
    """``v1,`` and the base64 of HMAC-SHA256 over id, time (seconds since 1970) and content, joined by dots.

    ``secret``: ``whsec_`` and base64 of the key, or any other text, which is the key itself.
    """
    signed = f"{delivery}.{at}.".encode() + content
    return "v1," + base64.b64encode(hmac.new(key(secret), signed, hashlib.sha256).digest()).decode()


def key(secret: str) -> bytes:
    """Raises ``ValueError`` for a ``whsec_`` that is not followed by base64."""
    if not secret.startswith(_PREFIX):
        return secret.encode()
    return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
