"""The body is canonical JSON, and its signature is what the standard's own library computes."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook as Signer

from kbsync.notifiers.body import body, key, signature
from tests.support.announcements import NEWS

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def test_the_body_holds_the_whole_announcement() -> None:
    content = body(NEWS)
    assert content == json.dumps(json.loads(content), sort_keys=True, separators=(",", ":")).encode()
    assert json.loads(content) == {
        "type": "current.moved",
        "timestamp": "2026-03-01T00:00:00.000000Z",
        "data": {
            "alias": "current",
            "delivery": NEWS.delivery,
            "hash": "a" * 64,
            "move": 7,
            "moved_at": "2026-03-01T00:00:00.000000Z",
            "directory": "",
            "path": "/var/lib/kbsync/current",
            "version": 3,
        },
    }


@pytest.mark.parametrize("secret", ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "a plain secret of some length"])
def test_the_signature_is_the_one_that_the_standard_s_library_makes(secret: str) -> None:
    of_library = secret if secret.startswith("whsec_") else base64.b64encode(secret.encode()).decode()
    expected = Signer(of_library).sign(NEWS.delivery, AT, body(NEWS).decode())
    assert signature(secret, NEWS.delivery, int(AT.timestamp()), body(NEWS)) == expected


def test_a_secret_is_base64_after_its_prefix_and_else_the_key_itself() -> None:
    assert key("whsec_AAEC") == b"\x00\x01\x02"
    assert key("AAEC") == b"AAEC"
    with pytest.raises(ValueError, match="base64"):
        key("whsec_no base64")
