"""notify: tell notifiers of every move of ``current``, in order, again and again until they have taken it.

The move itself, committed by promote or rollback, is what has to be told; ``deliveries`` holds how far each notifier
was told. So a kill between the two loses nothing, and a kill between telling and recording tells once more, with the
same delivery id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kbsync.domain.announcement import Announcement
from kbsync.domain.errors import NotifierFailed
from kbsync.domain.version import CURRENT
from kbsync.ports import Delivered, LedgerReader, Notifier
from kbsync.stages.session import Run

_LONGEST = 60.0
_LOOK = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """``attempts`` at one delivery in one go, with waits of 1, 2, 4, … seconds between them; after ``give_up``
    attempts in all it is given up, so that a notifier that will never take one move hears of the next."""

    attempts: int = 5
    give_up: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifyResult:
    """Moves that notifiers were told of (``delivered``), that were ``given_up``, and that are still to be told
    (``waiting``), over all notifiers."""

    delivered: int = 0
    given_up: int = 0
    waiting: int = 0


def introduce(run: Run, notifiers: Sequence[Notifier]) -> None:
    """A notifier that is new is told of what moves from now on."""
    with run.ledger.read() as tx:
        new = [notifier.name for notifier in notifiers if tx.delivery(notifier.name) is None]
    if not new:
        return
    with run.ledger.write() as tx:
        moved = tx.alias(CURRENT)
        for name in new:
            if tx.delivery(name) is None:
                tx.set_delivery(Delivered(notifier=name, move=moved.seq if moved else 0, attempts=0))


def notify(
    run: Run,
    notifiers: Sequence[Notifier],
    path: str,
    patience: RetryPolicy,
) -> NotifyResult:
    """Deliver what is waiting; to be called by the holder of the notifying lease. A notifier that does not take it
    stops at that move; the others go on. Raises nothing that a notifier did."""
    result = NotifyResult()
    for notifier in notifiers:
        while (waiting := _waiting(run, notifier.name, path)) and (told := _tell(run, notifier, waiting[0], patience)):
            given_up = told == "given up"
            result = replace(result, delivered=result.delivered + (not given_up), given_up=result.given_up + given_up)
        result = replace(result, waiting=result.waiting + len(waiting))
    return result


def count_waiting(run: Run, notifiers: Sequence[Notifier]) -> int:
    """So much is to be told, over all notifiers."""
    return sum(len(_waiting(run, notifier.name, "")) for notifier in notifiers)


def _waiting(run: Run, notifier: str, path: str) -> list[Announcement]:
    with run.ledger.read() as tx:
        known = tx.delivery(notifier)
        if known is None:
            return []
        moves = [move for move in tx.alias_moves(CURRENT) if move.seq > known.move]
        return [
            Announcement(
                alias=CURRENT,
                move=move.seq,
                version=move.number,
                hash=_hash(tx, move.number),
                moved_at=move.moved_at,
                path=path,
            )
            for move in moves
        ]


def _hash(tx: LedgerReader, number: int) -> str | None:
    version = tx.version(number) if number else None
    return version.version_hash if version else None


def _tell(run: Run, notifier: Notifier, announcement: Announcement, patience: RetryPolicy) -> str:
    """``delivered``, ``given up``, or nothing where it is still waiting."""
    for attempt in range(patience.attempts):
        if attempt:
            _pause(run, min(_LONGEST, 2.0 ** (attempt - 1)))
        run.work.checkpoint()
        try:
            notifier.deliver(announcement)
        except NotifierFailed as error:
            outcome = _record(run, notifier, announcement, error.what, patience.give_up)
        else:
            outcome = _record(run, notifier, announcement, None, patience.give_up)
        if outcome != "failed":
            return outcome
    return ""


def _pause(run: Run, seconds: float) -> None:
    """In short looks, so that a stop is noticed and the lease kept."""
    while seconds > 0:
        run.work.checkpoint()
        run.clock.sleep(min(_LOOK, seconds))
        seconds -= _LOOK


def _record(run: Run, notifier: Notifier, announcement: Announcement, error: str | None, give_up: int) -> str:
    """One attempt and what came of it, in the audit trail and in how far the notifier was told."""
    now = run.clock.now()
    with run.ledger.write() as tx:
        known = tx.delivery(notifier.name)
        if known is not None and known.move >= announcement.move:
            return "delivered"  # by another process, which took this one for dead
        attempts = (known.attempts if known else 0) + 1
        outcome = "delivered" if error is None else "given up" if attempts >= give_up else "failed"
        body = {
            "hook": notifier.name,
            "delivery": announcement.delivery,
            "move": announcement.move,
            "version": announcement.version,
            "attempt": attempts,
            "outcome": outcome,
        }
        done = outcome != "failed"
        before = known.move if known else 0
        tx.set_delivery(
            Delivered(
                notifier=notifier.name, move=announcement.move if done else before, attempts=0 if done else attempts
            )
        )
        tx.append_audit("notify", run.actor, body | ({"error": error} if error else {}), now)
    return outcome
