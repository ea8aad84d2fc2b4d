"""What a person decided about a fact, against or before the rules."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from kbsync.domain.fact import FactKey


class DecisionKind(StrEnum):
    """``PIN``: what is believed stays, whatever the source says. ``EXCLUDE``: the fact is never edited."""

    PIN = "pin"
    EXCLUDE = "exclude"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A fact has one at most, and it stands until it is withdrawn. ``actor`` decided it at ``at``, for ``reason``."""

    key: FactKey
    kind: DecisionKind
    reason: str
    actor: str
    at: datetime

    def __str__(self) -> str:
        verb = {DecisionKind.PIN: "pinned", DecisionKind.EXCLUDE: "excluded"}[self.kind]
        return f"{verb} by {self.actor}" + (f": {self.reason}" if self.reason else "")
