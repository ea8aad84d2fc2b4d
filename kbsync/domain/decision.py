"""What a person decided about a fact, against the rules or before they apply."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from kbsync.domain.fact import FactKey


class DecisionKind(StrEnum):
    """Decisions that stand until they are withdrawn."""

    PIN = "pin"
    """What is believed stays, whatever the source says."""
    EXCLUDE = "exclude"
    """The fact is never edited."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The decision about one fact, which has one at most."""

    key: FactKey
    kind: DecisionKind
    reason: str
    actor: str
    """Who decided."""
    at: datetime

    def __str__(self) -> str:
        verb = {DecisionKind.PIN: "pinned", DecisionKind.EXCLUDE: "excluded"}[self.kind]
        return f"{verb} by {self.actor}" + (f": {self.reason}" if self.reason else "")
