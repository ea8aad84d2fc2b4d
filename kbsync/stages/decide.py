"""A person's decisions about single facts: approve, pin, exclude, and clear, which withdraws a pin or an exclusion.

Each goes into the audit trail.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from kbsync.domain.decision import Decision, DecisionKind
from kbsync.domain.errors import KbsyncError, NotFound
from kbsync.domain.fact import FactKey, FactRecord
from kbsync.ports import FactWriter
from kbsync.stages.session import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A fact after a decision about it."""

    record: FactRecord
    standing: Decision | None
    """The pin or exclusion that holds now."""
    already: bool
    """Nothing had to be changed."""


def approve(run: Run, key: FactKey, reason: str) -> Decided:
    """Believe what is observed now, without waiting for time or references.

    Raises:
        NotFound: The ledger does not hold the fact.
        KbsyncError: The fact is pinned, so the pin says what is believed of it.
    """

    def change(tx: FactWriter, record: FactRecord, standing: Decision | None, now: datetime) -> Decided:
        if standing is not None and standing.kind is DecisionKind.PIN:
            raise KbsyncError(
                f"{key} is {standing}, so nothing else can be believed of it.",
                next_step=f"Withdraw the pin first: `kbsync fact clear {key.subject} {key.property}`.",
            )
        if not record.pending:
            return Decided(record=record, standing=standing, already=True)
        believed = replace(record, believed=record.observed, believed_at=now)
        tx.put_facts([believed])
        return Decided(record=believed, standing=standing, already=False)

    return _decide(run, key, "approve", reason, change)


def pin(run: Run, key: FactKey, reason: str) -> Decided:
    """Hold on to what is believed, whatever the source says from now on; where nothing is, believe what is observed.

    Raises:
        NotFound: The ledger does not hold the fact.
    """

    def change(tx: FactWriter, record: FactRecord, standing: Decision | None, now: datetime) -> Decided:
        if standing is not None and standing.kind is DecisionKind.PIN:
            return Decided(record=record, standing=standing, already=True)
        if record.believed is None:
            record = replace(record, believed=record.observed, believed_at=now)
            tx.put_facts([record])
        decision = Decision(key=key, kind=DecisionKind.PIN, reason=reason, actor=run.actor, at=now)
        return _with_decision(tx, record, decision)

    return _decide(run, key, "pin", reason, change)


def exclude(run: Run, key: FactKey, reason: str) -> Decided:
    """Never edit the fact: the next plan leaves it out, and retracts it where ``current`` holds it.

    Raises:
        NotFound: The ledger does not hold the fact.
    """

    def change(tx: FactWriter, record: FactRecord, standing: Decision | None, now: datetime) -> Decided:
        if standing is not None and standing.kind is DecisionKind.EXCLUDE:
            return Decided(record=record, standing=standing, already=True)
        decision = Decision(key=key, kind=DecisionKind.EXCLUDE, reason=reason, actor=run.actor, at=now)
        return _with_decision(tx, record, decision)

    return _decide(run, key, "exclude", reason, change)


def clear(run: Run, key: FactKey, reason: str) -> Decided:
    """Withdraw a pin or an exclusion, so that the relation's rules hold again.

    Raises:
        NotFound: The ledger does not hold the fact.
    """

    def change(tx: FactWriter, record: FactRecord, standing: Decision | None, _now: datetime) -> Decided:
        if standing is not None:
            tx.clear_decision(key)
        return Decided(record=record, standing=None, already=standing is None)

    return _decide(run, key, "clear", reason, change)


def _with_decision(tx: FactWriter, record: FactRecord, decision: Decision) -> Decided:
    tx.set_decision(decision)
    return Decided(record=record, standing=decision, already=False)


def _decide(
    run: Run,
    key: FactKey,
    action: str,
    reason: str,
    change: Callable[[FactWriter, FactRecord, Decision | None, datetime], Decided],
) -> Decided:
    """Make the change and write its audit event, in one transaction."""
    now = run.clock.now()
    with run.ledger.write() as tx:
        record = tx.fact(key)
        if record is None:
            raise NotFound(
                f"The ledger holds no fact {key}.",
                next_step="Is the item among the relation's subjects? `kbsync pull` fetches what is watched.",
            )
        decided = change(tx, record, tx.decisions().get(key), now)
        if not decided.already:
            believed = decided.record.believed
            body = {"fact": str(key), "reason": reason, "revision": decided.record.observed.revision}
            body |= {"believed": [v.text for v in believed.values] if believed else None}
            tx.append_audit(f"fact {action}", run.actor, body, now)
    return decided
