"""Accept what `kbsync audit verify` finds, because a person knows why; the audit trail keeps the reason."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kbsync.checkpoints.anchor import accept_trail, misfit
from kbsync.domain import audit
from kbsync.domain.errors import Damaged
from kbsync.operations.chains import NEXT, read_trail
from kbsync.stages.session import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What was accepted."""

    found: tuple[str, ...]
    """What did not fit, in sentences."""
    seq: int
    """The event that the anchor names now."""
    hash: str
    """Its hash."""


def accept(run: Run, state_dir: Path | None, reason: str) -> Accepted:
    """Anchor the trail as it is, and take altered rows for what they should be.

    Nothing is written where all fits. A broken chain can't be accepted.

    Args:
        run: Must hold the writer's lease.
        state_dir: Where the anchor is; None: a dry run, which looks at rows only and writes no anchor.
        reason: What the person knows.

    Raises:
        Damaged: The audit trail itself is broken.
        StoreError: The anchor can't be written.
    """
    with run.ledger.write() as tx:
        if broken := audit.verify(read_trail(tx)):
            raise Damaged(f"The audit trail is broken, which can't be accepted: {broken}.", next_step=NEXT)
        what = misfit(state_dir, tx) if state_dir else None
        found = ([what] if what else []) + tx.accept_rows()
        if found:
            tx.append_audit("accept", run.actor, {"reason": reason, "found": found}, run.clock.now())
        newest = tx.newest_event()
    with run.ledger.read() as tx:
        if found and state_dir:
            accept_trail(state_dir, tx)
    return Accepted(found=tuple(found), seq=newest.seq if newest else 0, hash=newest.hash if newest else audit.GENESIS)
