"""The audit trail and the statement history, recomputed, and held against what vouches for them from outside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kbsync.checkpoints.anchor import NAME, read_anchor
from kbsync.domain import audit, history
from kbsync.domain.audit import AuditEvent
from kbsync.domain.errors import Damaged, StoreError
from kbsync.domain.version import Version
from kbsync.ports import LedgerReader

AUDIT_TRAIL, STATEMENT_HISTORY = "audit trail", "statement history"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trails:
    """``problems``: (``audit trail``, ``statement history`` or a file; a sentence)."""

    events: Sequence[AuditEvent]
    versions: Sequence[Version]
    problems: tuple[tuple[str, str], ...]
    readable: bool
    hashes: frozenset[str]

    def holds(self, head: str) -> bool:
        """Whether the trail holds the event that an anchor names; of a trail that can't be read nothing more is said."""
        return not self.readable or head == audit.GENESIS or head in self.hashes


def trails(tx: LedgerReader, state_dir: Path) -> Trails:
    """Recompute both chains; the manifests' anchors are for the caller, who reads the manifests."""
    problems: list[tuple[str, str]] = []
    events: Sequence[AuditEvent] = ()
    try:
        events, broken, readable = tx.audit(), None, True
        broken = audit.verify(list(events))
    except Damaged as error:
        broken, readable = error.what, False
    if broken:
        problems.append((AUDIT_TRAIL, f"{broken}."))
    # What a broken trail tells of the history proves nothing about the history.
    pulls = () if broken else (e for e in events if e.kind == "pull")
    told = {str(e.body["history"]) for e in pulls if "history" in e.body}
    problems += [(STATEMENT_HISTORY, f"{what}.") for what in history.verify(tx.history_links(), told)]
    if readable:
        problems += _cut_off(state_dir, events)
    return Trails(
        events=events,
        versions=tx.versions(),
        problems=tuple(problems),
        readable=readable,
        hashes=frozenset(event.hash for event in events),
    )


def _cut_off(root: Path, events: Sequence[AuditEvent]) -> list[tuple[str, str]]:
    """What the anchor outside the database tells of and the trail does not hold."""
    try:
        anchor = read_anchor(root)
    except StoreError as error:
        return [(str(root / NAME), error.what)]
    if anchor is None or any((e.seq, e.hash) == (anchor.seq, anchor.hash) for e in events):
        return []
    last = events[-1].seq if events else 0
    if last < anchor.seq:
        return [(AUDIT_TRAIL, f"events {last + 1} to {anchor.seq} are gone: {root / NAME} tells of them.")]
    return [(AUDIT_TRAIL, f"event {anchor.seq} is another than {root / NAME} tells of.")]
