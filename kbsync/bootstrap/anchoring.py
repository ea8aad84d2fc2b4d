"""What a writer does outside the ledger around its work: it anchors the audit trail, and lets the path follow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from kbsync.checkpoints.anchor import advance_anchor, begin_anchor
from kbsync.domain.errors import KbsyncError
from kbsync.domain.version import CURRENT
from kbsync.ports import Ledger
from kbsync.stages.release.promote import current_number, current_version

if TYPE_CHECKING:
    from kbsync.checkpoints.current_link import CurrentLink


@contextmanager
def anchored(ledger: Ledger, state_dir: Path) -> Iterator[None]:
    """Begin the anchor of a new trail before the block, and let it name the newest event after it, also if it fails.

    Raises:
        StoreError: The anchor can't be written.
    """
    with ledger.read() as tx:
        begin_anchor(state_dir, tx)
    try:
        yield
    except BaseException:
        # What stopped the block is what is told.
        with suppress(KbsyncError), ledger.read() as tx:
            advance_anchor(state_dir, tx)
        raise
    with ledger.read() as tx:
        advance_anchor(state_dir, tx)


def update_link(ledger: Ledger, link: CurrentLink) -> None:
    """Let the link lead to what is current, unless somebody moved the alias meanwhile; raises as its ``follow``."""
    with ledger.read() as tx:
        alias, version, versions = tx.alias(CURRENT), current_version(tx), tx.versions()
    if alias is not None and versions:
        link.follow(version, (version or versions[-1]).base_fingerprint, lambda: _current(ledger) == alias.number)


def _current(ledger: Ledger) -> int:
    with ledger.read() as tx:
        return current_number(tx)
