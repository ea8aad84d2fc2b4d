"""Recomputes the hash chains of audit trail and statement history, compares every row with what kbsync wrote, and the
trail with what is kept outside the database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from kbsync.checkpoints.anchor import misfit, read_anchor
from kbsync.domain import audit, history
from kbsync.domain.audit import AuditEvent
from kbsync.domain.errors import Damaged
from kbsync.domain.version import Version
from kbsync.ports import AuditReader, LedgerReader

AUDIT_TRAIL, STATEMENT_HISTORY, LEDGER = "audit trail", "statement history", "ledger"
NEXT = "Keep the ledger as it is, compare it with a backup, and find out who could write to it."
"""What a person does about a trail that is not whole."""
_PAGE = 1_000
"""Events that are in memory at once."""


class Problem(NamedTuple):
    """Something that is not as it was written."""

    where: str
    """``audit trail``, ``statement history``, ``ledger`` or a file."""
    what: str
    """A sentence."""


class KnownHead(NamedTuple):
    """An event that a copy kept elsewhere names."""

    seq: int
    hash: str
    rows: str
    """Head of the row journal at that time; empty: not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainCheck:
    """What both chains and the rows are like."""

    events: int
    """Events of the audit trail; those that could be read, where it is damaged."""
    head: str
    """Hash of the last of them."""
    versions: Sequence[Version]
    problems: tuple[Problem, ...]
    readable: bool
    """Whether the audit trail can be read."""
    hashes: frozenset[str]
    """Those of the events."""

    def holds(self, head: str) -> bool:
        """Whether the trail holds the event that an anchor names; True for a trail that can't be read, whose problem is
        named already."""
        return not self.readable or head == audit.GENESIS or head in self.hashes


@dataclass
class _Trail:
    """What is kept of the audit trail while it is read."""

    hashes: dict[str, int] = field(default_factory=dict)
    """By hash, the number of each event."""
    history: set[str] = field(default_factory=set)
    """Heads of the statement history that pulls recorded."""
    rows: set[str] = field(default_factory=set)
    """Heads of the row journal that events recorded."""
    head: str = audit.GENESIS
    last: int = 0

    def read(self, tx: AuditReader) -> Iterator[AuditEvent]:
        """All events in order, a page at a time; raises ``Damaged``."""
        while page := tx.audit(after=self.last, limit=_PAGE):
            for event in page:
                self.hashes[event.hash] = event.seq
                self.head, self.last = event.hash, event.seq
                if event.kind == "pull" and "history" in event.body:
                    self.history.add(str(event.body["history"]))
                if audit.ROWS in event.body:
                    self.rows.add(str(event.body[audit.ROWS]))
                yield event


def read_trail(tx: AuditReader) -> Iterator[AuditEvent]:
    """All events in order, a page at a time; raises ``Damaged``."""
    return _Trail().read(tx)


def check_chains(tx: LedgerReader, state_dir: Path, against: Sequence[KnownHead] = ()) -> ChainCheck:
    """Recompute both chains and compare every row with what was written last, and the audit trail with the anchor in
    ``state_dir``. All of it is streamed.

    The manifests hold anchors, too; those are for the caller, who reads the manifests.

    Args:
        against: Events that a copy kept elsewhere names.
    """
    trail, readable = _Trail(), True
    events = trail.read(tx)
    try:
        broken = audit.verify(events)
        for _ in events:
            pass  # what follows a broken event is read too, for the hashes
    except Damaged as error:
        broken, readable = error.what, False
    problems = [Problem(AUDIT_TRAIL, f"{broken}.")] if broken else []
    # Events of a broken trail prove nothing about the history and the rows.
    history_heads, rows = (set(), set()) if broken else (trail.history, trail.rows)
    if readable and (what := misfit(state_dir, tx)):
        problems.append(Problem(AUDIT_TRAIL, f"{what}."))
    elif not broken:
        rows |= _anchored_rows(state_dir)
    try:
        wrong = history.verify(tx.history_links(), history_heads)
    except Damaged as error:
        wrong = [error.what.removesuffix(".")]
    problems += [Problem(STATEMENT_HISTORY, f"{what}.") for what in wrong]
    rows |= {known.rows for known in against if known.rows}
    problems += [Problem(LEDGER, f"{what}.") for what in tx.examine(rows, None if broken else trail.hashes)]
    if readable:
        problems += [Problem(AUDIT_TRAIL, what) for known in against if (what := _differs(trail, known))]
    try:
        versions = tx.versions()
    except Damaged as error:
        versions = []
        problems.append(Problem(LEDGER, error.what))
    return ChainCheck(
        events=len(trail.hashes),
        head=trail.head,
        versions=versions,
        problems=tuple(problems),
        readable=readable,
        hashes=frozenset(trail.hashes),
    )


def _anchored_rows(state_dir: Path) -> set[str]:
    """The head of the row journal that the anchor names, if it names one."""
    anchor = read_anchor(state_dir)
    return {anchor.rows} if anchor and anchor.rows else set()


def _differs(trail: _Trail, known: KnownHead) -> str:
    """What the trail does not hold of what a copy kept elsewhere names; empty: it holds it."""
    if known.seq == 0 or trail.hashes.get(known.hash) == known.seq:
        return ""
    if known.seq > trail.last:
        return f"event {known.seq}, which the copy names, is gone: the trail ends at {trail.last}."
    return f"event {known.seq} is another than the one that the copy names."
