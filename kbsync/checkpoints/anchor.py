"""An anchor of the audit trail outside the database: how long the trail was when a writer last finished.

Each manifest anchors the trail as it was when its version was built. If the events after that (evaluations, promotions,
pulls) were cut off, nobody would notice; this file, written whenever a writer has finished, shows it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from kbsync.checkpoints.os_errors import explained
from kbsync.domain.audit import GENESIS
from kbsync.domain.canonical import canonical_json, later
from kbsync.domain.errors import StoreError
from kbsync.ports import AuditReader
from kbsync.system.durable import UNFINISHED, is_owned, make_directory, write_file

NAME = "audit-anchor.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """The newest event of the trail when the anchor was written."""

    seq: int
    """0: there was none yet."""
    hash: str
    rows: str = later("")
    """Head of the row journal; empty: the anchor is older than the journal."""


def write_anchor(root: Path, anchor: Anchor) -> None:
    """Replace the anchor in the directory ``root``; raises ``StoreError``."""
    with explained(f"writing {root / NAME}", kept="Everything that the ledger committed is kept."):
        make_directory(root)
        write_file(root / NAME, canonical_json(anchor).encode() + b"\n")


def begin_anchor(root: Path, tx: AuditReader) -> None:
    """Anchor a trail that has no event yet, so that from its first event on a missing anchor tells something.

    Raises:
        StoreError: The anchor can't be written.
    """
    if not (root / NAME).exists() and tx.newest_event() is None:
        write_anchor(root, Anchor(seq=0, hash=GENESIS))


def advance_anchor(root: Path, tx: AuditReader) -> None:
    """Let the anchor in the directory ``root`` name the newest event.

    An anchor that is missing, or does not fit the trail, stays as it is: it is the evidence, and ``kbsync audit
    verify`` reports it.

    Raises:
        StoreError: The anchor can't be written.
    """
    if misfit(root, tx) is None:
        accept_trail(root, tx)


def accept_trail(root: Path, tx: AuditReader) -> Anchor | None:
    """Let the anchor name the newest event, whatever it named; returns it, or None where there is no event.

    Raises:
        StoreError: The anchor can't be written.
    """
    newest = tx.newest_event()
    if newest is None:
        return None
    anchor = Anchor(seq=newest.seq, hash=newest.hash, rows=tx.rows_head())
    write_anchor(root, anchor)
    return anchor


def misfit(root: Path, tx: AuditReader) -> str | None:
    """Why this is not the ledger that the anchor in the directory ``root`` names; None where it is."""
    newest = tx.newest_event()
    last = newest.seq if newest else 0
    try:
        anchor = read_anchor(root)
    except StoreError as error:
        return error.what
    if anchor is None:
        missing = f"{root / NAME} is missing, so nothing shows whether events after {last} were cut off"
        return missing if last else None
    if anchor.seq == 0 or [event.hash for event in tx.audit(after=anchor.seq - 1, limit=1)] == [anchor.hash]:
        return None
    if last < anchor.seq:
        return f"events {last + 1} to {anchor.seq} are gone: {root / NAME} names them"
    return f"event {anchor.seq} is another than the one that {root / NAME} names"


def clean_temporary(root: Path) -> None:
    """Remove what killed writes of the anchor left; what another process is writing is its own."""
    with explained(f"cleaning {root}", kept="The anchor was not changed."):
        for path in root.glob(f"{UNFINISHED}{NAME}-*"):
            if not is_owned(path):
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
        anchor = Anchor(seq=int(fields["seq"]), hash=str(fields["hash"]), rows=str(fields.get("rows", "")))
        whole = canonical_json(anchor).encode() + b"\n" == data
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        whole = False
    if not whole:
        raise StoreError(
            f"{path} is not what kbsync wrote.",
            kept="It was not changed.",
            next_step="Find out who changed it; `kbsync audit accept` writes a new one, and records why.",
        )
    return anchor
