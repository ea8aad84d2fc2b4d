"""What the world outside is told, and by which id."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from tests.support.announcements import NEWS


def test_delivery_ids_are_one_a_move() -> None:
    assert NEWS.delivery == replace(NEWS, path="/elsewhere").delivery
    others = [
        replace(NEWS, move=8),
        replace(NEWS, version=4),
        replace(NEWS, moved_at=NEWS.moved_at + timedelta(days=1)),
    ]
    assert len({other.delivery for other in others} | {NEWS.delivery}) == 4
