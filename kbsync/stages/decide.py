"""A person's decisions about single facts: approve, pin, exclude, and the withdrawal of the last two. All are audited."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from kbsync.domain.decision import Decision, DecisionKind
from kbsync.domain.errors import KbsyncError, NotFound
from kbsync.domain.fact import FactKey, FactRecord
from kbsync.ports import LedgerTransaction
from kbsync.stages.session import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What became of a fact. ``already``: nothing had to be changed; ``standing`` is the decision that holds now."""

    record: FactRecord
    standing: Decision | None
    already: bool


Decide = Callable[[Run, FactKey, str], Decided]


class _Undone(Exception):
    """Takes a transaction back that only had to show what it would do."""


def approve(run: Run, key: FactKey, reason: str, *, dry_run: bool = False) -> Decided:
    """Believe what is observed now, without waiting for time or references.

    Raises ``NotFound``, and ``KbsyncError`` for a pinned fact, of which the pin says what is believed.
    """

    def change(tx: LedgerTransaction, record: FactRecord, standing: Decision | None, now: datetime) -> Decided:
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

    return _decide(run, key, "approve", reason, change, dry_run=dry_run)


def pin(run: Run, key: FactKey, reason: str, *, dry_run: bool = False) -> Decided:
    """Hold on to what is believed (where nothing is, to what is observed), whatever the source says from now on.

    Raises ``NotFound``.
    """

    def change(tx: LedgerTransaction, record: FactRecord, standing: Decision | None, now: datetime) -> Decided:
        if standing is not None and standing.kind is DecisionKind.PIN:
            return Decided(record=record, standing=standing, already=True)
        if record.believed is None:
            record = replace(record, believed=record.observed, believed_at=now)
            tx.put_facts([record])
        return _stand(tx, record, Decision(key=key, kind=DecisionKind.PIN, reason=reason, actor=run.actor, at=now))

    return _decide(run, key, "pin", reason, change, dry_run=dry_run)


def exclude(run: Run, key: FactKey, reason: str, *, dry_run: bool = False) -> Decided:
    """Never edit the fact: the next plan leaves it out, and takes it back where a version holds it.

    Raises ``NotFound``.
    """

    def change(tx: LedgerTransaction, record: FactRecord, standing: Decision | None, now: datetime) -> Decided:
        if standing is not None and standing.kind is DecisionKind.EXCLUDE:
            return Decided(record=record, standing=standing, already=True)
        return _stand(tx, record, Decision(key=key, kind=DecisionKind.EXCLUDE, reason=reason, actor=run.actor, at=now))

    return _decide(run, key, "exclude", reason, change, dry_run=dry_run)


def clear(run: Run, key: FactKey, reason: str, *, dry_run: bool = False) -> Decided:
    """Withdraw a pin or an exclusion; the relation's rules hold again. Raises ``NotFound``."""

    def change(tx: LedgerTransaction, record: FactRecord, standing: Decision | None, _now: datetime) -> Decided:
        if standing is not None:
            tx.clear_decision(key)
        return Decided(record=record, standing=None, already=standing is None)

    return _decide(run, key, "clear", reason, change, dry_run=dry_run)


def _stand(tx: LedgerTransaction, record: FactRecord, decision: Decision) -> Decided:
    tx.set_decision(decision)
    return Decided(record=record, standing=decision, already=False)


def _decide(
    run: Run,
    key: FactKey,
    action: str,
    reason: str,
    change: Callable[[LedgerTransaction, FactRecord, Decision | None, datetime], Decided],
    *,
    dry_run: bool,
) -> Decided:
    """One transaction: the change and its audit event, or neither."""
    now = run.clock.now()
    try:
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
            if dry_run:
                raise _Undone
    except _Undone:
        pass
    return decided
