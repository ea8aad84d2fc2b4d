"""What people read of a search for a recipe."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from kbsync.domain.audit import AuditEvent
from kbsync.views.tuning import searched

BODY: dict[str, Any] = {
    "fingerprint": "f1",
    "score": 0.8712,
    "facts": 24,
    "plan": {"recipes": 6},
    "more_time": "about 40 minutes would try 8 recipes",
}


def event(seq: int, body: dict[str, Any]) -> AuditEvent:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return AuditEvent(seq=seq, at=at, actor="test", kind="tune", body=body, prev="", hash="")


def test_a_version_s_report_says_how_good_its_recipe_is() -> None:
    events = [event(1, BODY | {"score": 0.5}), event(2, BODY), event(3, BODY | {"fingerprint": "other"})]
    assert searched(events, "f1") == (
        "score 0.87 on 24 development facts, the best of 6 recipes; more time: about 40 minutes would try 8 recipes"
    )
    assert searched(events, "named by hand") == ""
