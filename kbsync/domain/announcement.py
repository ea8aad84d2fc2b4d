"""What notifiers are told when ``current`` moves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from kbsync.domain.canonical import content_hash, later


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailHead:
    """The end of the audit trail: whoever keeps it can tell later whether the trail was rewritten."""

    seq: int
    """Number of the newest event."""
    hash: str
    rows: str
    """Head of the row journal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """One move of an alias to a version."""

    alias: str
    move: int
    """Number of the move; it grows with every move of any alias."""
    version: int
    """0: the unedited base."""
    hash: str | None
    """The version's hash; null for the base."""
    moved_at: datetime
    path: str
    """Leads to the version that is current by the time it is followed, which may be a later one."""
    directory: str = ""
    """Where this very version lies, which is no other version's directory; empty where it is not there any more."""

    trail: TrailHead | None = later(None)
    """The audit trail's end when this was told, which was after the move; None where it is not known."""

    @property
    def delivery(self) -> str:
        """Identifies the move for whoever receives it.

        Every attempt to announce this move has the same identifier, and no other move of any ledger has it. A receiver
        that has seen it before has nothing to do.
        """
        return "msg_" + content_hash([self.alias, self.move, self.version, self.hash, self.moved_at])[:32]
