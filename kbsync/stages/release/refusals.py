"""Refusals in a row: how many there were since something was promoted, and until when the next build waits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from kbsync.domain.gate import pause
from kbsync.ports import LedgerReader


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """``at`` is None where nothing has to wait."""

    refusals: int
    at: datetime | None


_ENDS = ("promote", "quarantine")


def rest(tx: LedgerReader, first: timedelta) -> Rest:
    """A promotion, and a fact let out of quarantine, end a row of refusals; of the audit trail only what came after is
    read."""
    ends = [event.seq for kind in _ENDS if (event := tx.newest_event(kind))]
    refused = tx.audit(after=max(ends, default=0), kind="refuse")
    waits = pause(len(refused), first)
    return Rest(refusals=len(refused), at=refused[-1].at + waits if refused and waits else None)
