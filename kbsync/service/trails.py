"""The audit trail and the statement history, recomputed, and held against what vouches for them from outside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kbsync.bootstrap import App
from kbsync.checkpoints.anchor import NAME, read_anchor
from kbsync.domain import audit, history
from kbsync.domain.audit import AuditEvent
from kbsync.domain.errors import StoreError
from kbsync.domain.version import Version

AUDIT_TRAIL, STATEMENT_HISTORY = "audit trail", "statement history"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trails:
    """``problems``: (``audit trail``, ``statement history`` or a file; a sentence)."""

    events: Sequence[AuditEvent]
    versions: Sequence[Version]
    problems: tuple[tuple[str, str], ...]

    @property
    def hashes(self) -> set[str]:
        """What an anchor may name."""
        return {audit.GENESIS, *(event.hash for event in self.events)}


def trails(app: App) -> Trails:
    """Recompute both chains; the manifests' anchors are for the caller, who reads the manifests."""
    problems = []
    with app.ledger.read() as tx:
        events, versions = tx.audit(), tx.versions()
        broken = audit.verify(events)
        if broken:
            problems.append((AUDIT_TRAIL, f"{broken}."))
        told = {str(e.body["history"]) for e in events if e.kind == "pull" and "history" in e.body}
        problems += [(STATEMENT_HISTORY, f"{what}.") for what in history.verify(tx.history_links(), told)]
    problems += _cut_off(app, events)
    return Trails(events=events, versions=versions, problems=tuple(problems))


def _cut_off(app: App, events: Sequence[AuditEvent]) -> list[tuple[str, str]]:
    """What the anchor outside the database tells of and the trail does not hold."""
    root = app.settings.state_dir
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
