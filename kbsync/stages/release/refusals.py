"""Refusals in a row, as the audit trail tells them."""

from __future__ import annotations

from kbsync.domain.next_build import Refusals
from kbsync.ports import AuditReader

ENDS_OF_A_ROW = ("promote", "quarantine")
"""Audit events that end a row of refusals: a promotion, and a fact that a person let out of quarantine."""


def refusals_in_a_row(tx: AuditReader) -> Refusals:
    """Count the refusals since the last event that ends a row; older events are not read."""
    ends = [event.seq for kind in ENDS_OF_A_ROW if (event := tx.newest_event(kind))]
    refused = tx.audit(after=max(ends, default=0), kind="refuse")
    return Refusals(in_a_row=len(refused), newest_at=refused[-1].at if refused else None)
