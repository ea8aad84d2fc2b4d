"""What the world outside is told when ``current`` moves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from kbsync.domain.canonical import content_hash


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """``alias`` moved to version ``version`` (0: the unedited base) with ``hash`` (null for the base) as move ``move``;
    ``path`` leads to what is current by now, which may be a later version."""

    alias: str
    move: int
    version: int
    hash: str | None
    moved_at: datetime
    path: str

    @property
    def delivery(self) -> str:
        """The same for every attempt at telling one notifier of one move, and for no other move of any ledger: a
        receiver that has seen it has nothing to do."""
        return "msg_" + content_hash([self.alias, self.move, self.version, self.hash, self.moved_at])[:32]
