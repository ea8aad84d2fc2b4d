"""Refusals in a row: how many there were since something was promoted, and until when the next build waits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from kbsync.domain.audit import AuditEvent
from kbsync.domain.gate import pause


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """``at`` is None where nothing has to wait."""

    refusals: int
    at: datetime | None


def until(events: Iterable[AuditEvent], first: timedelta) -> Rest:
    """From the whole audit trail: a promotion, and a fact let out of quarantine, end a row of refusals."""
    times: list[datetime] = []
    for event in events:
        if event.kind == "refuse":
            times.append(event.at)
        elif event.kind in ("promote", "quarantine"):
            times.clear()
    waits = pause(len(times), first)
    return Rest(refusals=len(times), at=times[-1] + waits if times and waits else None)
