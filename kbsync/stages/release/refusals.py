"""Why the gate refused a version, and how many refusals there were in a row."""

from __future__ import annotations

from kbsync.domain.next_build import Refusals, advice
from kbsync.domain.version import Evaluation, Version
from kbsync.ports import AuditReader, VersionReader

ENDS_OF_A_ROW = ("promote", "quarantine")
"""Audit events that end a row of refusals: a promotion, and a fact that a person let out of quarantine."""


def refusals_in_a_row(tx: AuditReader) -> Refusals:
    """Count the refusals since the last event that ends a row; older events are not read."""
    ends = [event.seq for kind in ENDS_OF_A_ROW if (event := tx.newest_event(kind))]
    refused = tx.audit(after=max(ends, default=0), kind="refuse")
    return Refusals(in_a_row=len(refused), newest_at=refused[-1].at if refused else None)


def why_refused(tx: VersionReader, version: Version, evaluation: Evaluation) -> str:
    """All that the gate refused, and what to change in the recipe where that is known; empty for a version that
    passed."""
    plan = tx.plan(version.plan_hash)
    texts = [reason.text for reason in evaluation.decision.refusals]
    return "; ".join(filter(None, [*texts, advice(plan.requests if plan else (), evaluation.decision)]))
