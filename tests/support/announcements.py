"""An announcement to tell notifiers of."""

from __future__ import annotations

from datetime import UTC, datetime

from kbsync.domain.announcement import Announcement

NEWS = Announcement(
    alias="current",
    move=7,
    version=3,
    hash="a" * 64,
    moved_at=datetime(2026, 3, 1, tzinfo=UTC),
    path="/var/lib/kbsync/current",
)
