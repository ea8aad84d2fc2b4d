"""An anchor of the audit trail outside the database: how long the trail was when a writer last finished.

Each manifest anchors the trail as it was when its version was built. If the events after that (evaluations, promotions,
pulls) were cut off, nobody would notice; this file, written whenever a writer has finished, shows it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from kbsync.checkpoints.os_errors import explained
from kbsync.domain.canonical import canonical_json
from kbsync.domain.errors import StoreError
from kbsync.ports import AuditReader
from kbsync.system.durable import UNFINISHED, make_directory, write_file

NAME = "audit-anchor.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """The newest event of the trail when the anchor was written."""

    seq: int
    hash: str


def write_anchor(root: Path, anchor: Anchor) -> None:
    """Replace the anchor in the directory ``root``; raises ``StoreError``."""
    with explained(f"writing {root / NAME}", kept="Everything that the ledger committed is kept."):
        make_directory(root)
        write_file(root / NAME, canonical_json(anchor).encode() + b"\n")


def advance_anchor(root: Path, tx: AuditReader) -> None:
    """Let the anchor in the directory ``root`` name the newest event.

    An anchor that does not fit the trail stays as it is: it is the evidence, and ``kbsync audit verify`` reports it.

    Raises:
        StoreError: The anchor can't be written.
    """
    try:
        old = read_anchor(root)
    except StoreError:
        return
    fits = old is None or [event.hash for event in tx.audit(after=old.seq - 1, limit=1)] == [old.hash]
    newest = tx.newest_event()
    if fits and newest is not None:
        write_anchor(root, Anchor(seq=newest.seq, hash=newest.hash))


def clean_temporary(root: Path) -> None:
    """Remove what killed writes of the anchor left; for the holder of the writer's lease, who is the only one to write
    it."""
    with explained(f"cleaning {root}", kept="The anchor was not changed."):
        for path in root.glob(f"{UNFINISHED}{NAME}-*"):
            path.unlink(missing_ok=True)


def read_anchor(root: Path) -> Anchor | None:
    """The anchor in the directory ``root``; None where no writer has finished yet.

    Raises:
        StoreError: The file can't be read, or is not what kbsync wrote.
    """
    path = root / NAME
    with explained(f"reading {path}", kept="It was not changed."):
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
    try:
        fields = json.loads(data)
        anchor = Anchor(seq=int(fields["seq"]), hash=str(fields["hash"]))
        whole = canonical_json(anchor).encode() + b"\n" == data
    except (ValueError, TypeError, KeyError):
        whole = False
    if not whole:
        raise StoreError(
            f"{path} is not what kbsync wrote.",
            kept="It was not changed.",
            next_step="Find out who changed it. Without the file, the next writer that finishes makes a new one.",
        )
    return anchor
