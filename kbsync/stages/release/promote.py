"""promote and rollback: move ``current`` to stored weights. No other stage moves the alias.

The lease's fencing token is checked in the transaction that moves it, so a process that stalled until its lease ran out
can't move it.
"""

from __future__ import annotations

from dataclasses import dataclass

from kbsync.domain.errors import GateRefused, NotFound
from kbsync.domain.version import CURRENT, Version, VersionState
from kbsync.ports import CheckpointStore, ReleasedVersionReader, ReleaseReader, VersionReader
from kbsync.stages.release.refusals import why_refused
from kbsync.stages.session import Writer


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveResult:
    """Where ``current`` pointed and points; 0 is the base."""

    before: int
    after: int
    already: bool
    """It pointed there before."""


def current_number(tx: ReleaseReader) -> int:
    """The version that is current; 0 while the unedited base is in use."""
    alias = tx.alias(CURRENT)
    return alias.number if alias else 0


def current_version(tx: ReleasedVersionReader) -> Version | None:
    """The version that is current; None while the unedited base is in use."""
    number = current_number(tx)
    return tx.version(number) if number else None


def promote(writer: Writer, store: CheckpointStore, number: int, *, override: str = "") -> MoveResult:
    """Make version ``number`` current.

    Args:
        store: Where the version's weights must be.
        override: A person's reason to promote a version that did not pass the gate; the audit trail keeps it.

    Raises:
        GateRefused: The version did not pass the gate, and there is no reason to override that.
        NotFound: The version is not built, or its weights are not stored any more.
        LeaseLost: Another process has taken the lease.
    """
    run = writer.run
    with run.ledger.write() as tx:
        version = _stored(tx, store, number)
        evaluation, before = tx.evaluation(number), current_number(tx)
        if before == number:
            return MoveResult(before=before, after=number, already=True)
        passed = evaluation is not None and evaluation.decision.passed
        if not passed and not override:
            reasons = why_refused(tx, version, evaluation) if evaluation else "it was not evaluated"
            raise GateRefused(
                f"Version {number} did not pass the gate: {reasons}.",
                kept=f"Current stays at {before}.",
                next_step=f"`kbsync evaluate {number}` measures it; `kbsync promote {number} --override REASON` "
                "overrules.",
            )
        now = run.clock.now()
        tx.set_version_state(number, VersionState.PROMOTED)
        tx.move_alias(CURRENT, number, writer.lease, now)
        body = {"version": number, "hash": version.version_hash, "before": before, "token": writer.lease.token}
        tx.append_audit("promote", run.actor, body | ({"override": override} if override else {}), now)
    return MoveResult(before=before, after=number, already=False)


def rollback(writer: Writer, store: CheckpointStore, to: int | None = None) -> MoveResult:
    """Move ``current`` back.

    Args:
        store: Where the version's weights must be.
        to: The version to go back to (0: the base); None: the predecessor of the current one.

    Raises:
        NotFound: The base is current already, ``to`` was never promoted, or its weights are not stored any more.
        LeaseLost: Another process has taken the lease.
    """
    run = writer.run
    with run.ledger.write() as tx:
        before = current_number(tx)
        target = _predecessor(tx, before) if to is None else to
        if target == before:
            return MoveResult(before=before, after=target, already=True)
        if target and _stored(tx, store, target).state not in (VersionState.PROMOTED, VersionState.ROLLED_BACK):
            raise NotFound(
                f"Version {target} was never promoted.",
                kept=f"Current stays at {before}.",
                next_step="`kbsync versions` lists the promoted ones.",
            )
        now = run.clock.now()
        if before:
            tx.set_version_state(before, VersionState.ROLLED_BACK)
        if target:
            tx.set_version_state(target, VersionState.PROMOTED)
        tx.move_alias(CURRENT, target, writer.lease, now)
        body = {"before": before, "after": target, "token": writer.lease.token}
        tx.append_audit("rollback", run.actor, body, now)
    return MoveResult(before=before, after=target, already=False)


def _predecessor(tx: VersionReader, current: int) -> int:
    version = tx.version(current) if current else None
    if version is None:
        raise NotFound(
            "Current stands at the base; there is nothing before it.",
            next_step="`kbsync versions` lists what there is, `kbsync promote N` goes forward.",
        )
    return version.predecessor


def _stored(tx: ReleasedVersionReader, store: CheckpointStore, number: int) -> Version:
    """The version, if its weights are stored."""
    version = tx.version(number)
    if version is None or version.version_hash is None:
        raise NotFound(f"Version {number} is not built.", next_step="`kbsync versions` lists what there is.")
    if version.version_hash not in store.hashes():
        raise NotFound(
            f"The weights of version {number} are not stored any more.",
            kept=f"Current stays at {current_number(tx)}.",
            next_step=f"`kbsync rebuild {number} --repair` builds them again.",
        )
    return version
