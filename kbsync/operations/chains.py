"""Recomputes the hash chains of audit trail and statement history, and compares them with what is kept outside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from kbsync.checkpoints.anchor import NAME, read_anchor
from kbsync.domain import audit, history
from kbsync.domain.audit import AuditEvent
from kbsync.domain.errors import Damaged, StoreError
from kbsync.domain.version import Version
from kbsync.ports import LedgerReader

AUDIT_TRAIL, STATEMENT_HISTORY = "audit trail", "statement history"


class Problem(NamedTuple):
    """Something that is not as it was written."""

    where: str
    """``audit trail``, ``statement history``, ``ledger`` or a file."""
    what: str
    """A sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainCheck:
    """What both chains are like."""

    events: Sequence[AuditEvent]
    """The audit trail; empty where it can't be read."""
    versions: Sequence[Version]
    problems: tuple[Problem, ...]
    readable: bool
    """Whether the audit trail can be read."""
    hashes: frozenset[str]
    """Those of ``events``."""

    def holds(self, head: str) -> bool:
        """Whether the trail holds the event that an anchor names; True for a trail that can't be read, whose problem is
        named already."""
        return not self.readable or head == audit.GENESIS or head in self.hashes


def check_chains(tx: LedgerReader, state_dir: Path) -> ChainCheck:
    """Recompute both chains, and compare the audit trail with the anchor in ``state_dir``.

    The manifests hold anchors, too; those are for the caller, who reads the manifests.
    """
    problems: list[Problem] = []
    events: Sequence[AuditEvent] = ()
    try:
        events, broken, readable = tx.audit(), None, True
        broken = audit.verify(list(events))
    except Damaged as error:
        broken, readable = error.what, False
    if broken:
        problems.append(Problem(AUDIT_TRAIL, f"{broken}."))
    # Events of a broken trail prove nothing about the history.
    pulls = () if broken else (event for event in events if event.kind == "pull")
    heads = {str(event.body["history"]) for event in pulls if "history" in event.body}
    problems += [Problem(STATEMENT_HISTORY, f"{what}.") for what in history.verify(tx.history_links(), heads)]
    if readable:
        problems += _against_anchor(state_dir, events)
    return ChainCheck(
        events=events,
        versions=tx.versions(),
        problems=tuple(problems),
        readable=readable,
        hashes=frozenset(event.hash for event in events),
    )


def _against_anchor(root: Path, events: Sequence[AuditEvent]) -> list[Problem]:
    """What the anchor outside the database names and the trail does not hold."""
    try:
        anchor = read_anchor(root)
    except StoreError as error:
        return [Problem(str(root / NAME), error.what)]
    if anchor is None or any((e.seq, e.hash) == (anchor.seq, anchor.hash) for e in events):
        return []
    last = events[-1].seq if events else 0
    if last < anchor.seq:
        return [Problem(AUDIT_TRAIL, f"events {last + 1} to {anchor.seq} are gone: {root / NAME} names them.")]
    return [Problem(AUDIT_TRAIL, f"event {anchor.seq} is another than the one that {root / NAME} names.")]
