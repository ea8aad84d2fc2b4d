"""The body that a notifier sends, and the signature that vouches for it (Standard Webhooks 1.0, symmetric)."""

from __future__ import annotations

import base64
import hashlib
import hmac

from kbsync.domain.announcement import Announcement
from kbsync.domain.canonical import canonical_json, plain

_PREFIX = "whsec_"


def body(announcement: Announcement) -> bytes:
    """Canonical JSON: ``type`` and ``timestamp`` as Standard Webhooks defines them, the announcement as ``data``."""
    data = plain(announcement) | {"delivery": announcement.delivery}
    return canonical_json({"type": "current.moved", "timestamp": announcement.moved_at, "data": data}).encode()


def signature(secret: str, delivery: str, at: int, content: bytes) -> str:
    """Sign a body.

    Args:
        secret: ``whsec_`` and the key in base64, or any other text, which is the key itself.
        at: When it is sent, in seconds since 1970.

    Returns:
        ``v1,`` and, in base64, the HMAC-SHA256 of id, time and body, joined by dots.

    Raises:
        ValueError: What follows ``whsec_`` is not base64.
    """
    signed = f"{delivery}.{at}.".encode() + content
    return "v1," + base64.b64encode(hmac.new(key(secret), signed, hashlib.sha256).digest()).decode()


def key(secret: str) -> bytes:
    """The key of a secret. Raises ``ValueError`` when what follows ``whsec_`` is not base64."""
    if not secret.startswith(_PREFIX):
        return secret.encode()
    return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
