"""notify: announce every move of ``current`` to every notifier, in order, again and again until it is taken.

Promote and rollback commit the move itself, which is what has to be announced, and the ledger's deliveries record how
far each notifier was told. So a kill between the two loses nothing, and a kill between telling and recording repeats
one announcement with the same delivery id.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from kbsync.domain.announcement import Announcement, TrailHead
from kbsync.domain.errors import NotifierFailed
from kbsync.domain.version import CURRENT, Version
from kbsync.ports import AuditReader, Delivered, Notifier, VersionReader
from kbsync.stages.session import Run

_MAX_WAIT_SECONDS = 60.0
"""Between two attempts."""
_CHECKPOINT_SECONDS = 0.25
"""How often a wait looks for a stop request and renews the lease."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often a notifier is told of a move that it does not take."""

    attempts: int = 5
    """Largest number of attempts without a longer pause, with waits of 1, 2, 4, … seconds between them."""
    give_up: int = 50
    """Number of attempts after which the move is given up, so that a notifier that will never take it hears of the
    next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifyResult:
    """Announcements to all notifiers together."""

    delivered: int = 0
    """Moves that a notifier took."""
    given_up: int = 0
    """Moves that were given up."""
    waiting: int = 0
    """Moves that a notifier still has to take."""


class _Attempt(StrEnum):
    """How an attempt ended."""

    DELIVERED = "delivered"
    GIVEN_UP = "given up"
    FAILED = "failed"


def introduce(run: Run, notifiers: Sequence[Notifier]) -> None:
    """Begin to record deliveries to notifiers that are new; they are told of moves from now on."""
    with run.ledger.read() as tx:
        new = [notifier.name for notifier in notifiers if tx.delivery(notifier.name) is None]
    if not new:
        return
    with run.ledger.write() as tx:
        alias = tx.alias(CURRENT)
        for name in new:
            if tx.delivery(name) is None:
                tx.set_delivery(Delivered(notifier=name, move=alias.seq if alias else 0, attempts=0))


@dataclass(frozen=True, slots=True)
class Published:
    """Where versions lie for those who are told."""

    path: str
    """Leads to the current version."""
    directory: Callable[[Version | None, str], Path]
    """The directory of a version (None: of the base with this fingerprint), which is no other version's."""


NOWHERE = Published("", lambda _version, _base: Path())
"""For those who only count."""


def notify(run: Run, notifiers: Sequence[Notifier], published: Published, policy: RetryPolicy) -> NotifyResult:
    """Announce what is waiting.

    A notifier that fails stays at the move that it did not take, and the others go on.

    Args:
        run: Must hold the notifying lease.
        published: Where versions lie.
    """
    result = NotifyResult()
    for notifier in notifiers:
        while waiting := _waiting(run, notifier.name, published):
            attempt = _announce(run, notifier, waiting[0], policy)
            if attempt is _Attempt.FAILED:
                break
            given_up = attempt is _Attempt.GIVEN_UP
            result = replace(result, delivered=result.delivered + (not given_up), given_up=result.given_up + given_up)
        result = replace(result, waiting=result.waiting + len(waiting))
    return result


def forget_newest(run: Run, notifiers: Sequence[Notifier]) -> None:
    """Let the newest move of ``current`` be announced once more to those who took it, or who came after it.

    A server that was started anew no longer has what it was given.
    """
    with run.ledger.write() as tx:
        alias = tx.alias(CURRENT)
        for name in (notifier.name for notifier in notifiers):
            delivered = tx.delivery(name)
            if alias is not None and 0 < alias.seq == (delivered.move if delivered else alias.seq):
                tx.set_delivery(Delivered(notifier=name, move=alias.seq - 1, attempts=0))


def count_waiting(run: Run, notifiers: Sequence[Notifier], *, again: bool = False) -> int:
    """The number of moves that have to be announced, over all notifiers; ``again``: the newest one in any case."""
    with run.ledger.read() as tx:
        alias = tx.alias(CURRENT)
    least = int(again and alias is not None and alias.seq > 0)
    return sum(max(least, len(_waiting(run, notifier.name, NOWHERE))) for notifier in notifiers)


def _waiting(run: Run, notifier: str, published: Published) -> list[Announcement]:
    with run.ledger.read() as tx:
        delivered = tx.delivery(notifier)
        if delivered is None:
            return []
        trail = _trail_head(tx)
        moves = [move for move in tx.alias_moves(CURRENT) if move.seq > delivered.move]
        return [
            Announcement(
                alias=CURRENT,
                move=move.seq,
                version=move.number,
                hash=_version_hash(tx, move.number),
                moved_at=move.moved_at,
                path=published.path,
                directory=_directory(tx, move.number, published),
                trail=trail,
            )
            for move in moves
        ]


def _trail_head(tx: AuditReader) -> TrailHead | None:
    newest = tx.newest_event()
    return TrailHead(seq=newest.seq, hash=newest.hash, rows=tx.rows_head()) if newest else None


def _directory(tx: VersionReader, number: int, published: Published) -> str:
    """Empty where it is not there: the move came before what is published now, or gc has removed it."""
    version, versions = tx.version(number) if number else None, tx.versions()
    if not versions or (number and version is None):
        return ""
    directory = published.directory(version, (version or versions[-1]).base_fingerprint)
    return str(directory) if published.path and directory.is_dir() else ""


def _version_hash(tx: VersionReader, number: int) -> str | None:
    version = tx.version(number) if number else None
    return version.version_hash if version else None


def _announce(run: Run, notifier: Notifier, announcement: Announcement, policy: RetryPolicy) -> _Attempt:
    """Announce one move, several times if need be; ``FAILED`` where it is still waiting."""
    for number in range(policy.attempts):
        if number:
            _wait(run, min(_MAX_WAIT_SECONDS, 2.0 ** (number - 1)))
        run.work.checkpoint()
        try:
            notifier.deliver(announcement)
        except NotifierFailed as error:
            attempt = _record(run, notifier, announcement, error.what, policy.give_up)
        else:
            attempt = _record(run, notifier, announcement, None, policy.give_up)
        if attempt is not _Attempt.FAILED:
            return attempt
    return _Attempt.FAILED


def _wait(run: Run, seconds: float) -> None:
    while seconds > 0:
        run.work.checkpoint()
        run.clock.sleep(min(_CHECKPOINT_SECONDS, seconds))
        seconds -= _CHECKPOINT_SECONDS


def _record(run: Run, notifier: Notifier, announcement: Announcement, error: str | None, give_up: int) -> _Attempt:
    """Record one attempt in the audit trail, and how far the notifier was told."""
    now = run.clock.now()
    with run.ledger.write() as tx:
        known = tx.delivery(notifier.name)
        if known is not None and known.move >= announcement.move:
            return _Attempt.DELIVERED  # by another process, which took this one for dead
        attempts = (known.attempts if known else 0) + 1
        attempt = _Attempt.DELIVERED if error is None else _Attempt.GIVEN_UP if attempts >= give_up else _Attempt.FAILED
        if attempt is _Attempt.FAILED:
            delivered = Delivered(notifier=notifier.name, move=known.move if known else 0, attempts=attempts)
        else:
            delivered = Delivered(notifier=notifier.name, move=announcement.move, attempts=0)
        tx.set_delivery(delivered)
        body = {
            "hook": notifier.name,
            "delivery": announcement.delivery,
            "move": announcement.move,
            "version": announcement.version,
            "attempt": attempts,
            "outcome": attempt.value,
        }
        tx.append_audit("notify", run.actor, body | ({"error": error} if error else {}), now)
    return attempt
