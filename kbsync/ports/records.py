"""What the ledger holds beside the domain's own records."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from kbsync.domain.fact import FactState
from kbsync.domain.statement import ItemId, PropertyId, Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasState:
    """Where an alias stands, and the fencing token of the process that moved it there. ``seq`` grows with every move
    of any alias."""

    name: str
    number: int
    token: int
    moved_at: datetime
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """A notifier was told of every move of ``current`` up to ``move`` (or it was given up); the next one was tried
    ``attempts`` times."""

    notifier: str
    move: int
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseToken:
    """Proof of holding a lease: ``token`` grows with every new holder. ``taken_from``: the holder that was found dead
    with its lease not yet run out."""

    name: str
    holder: str
    token: int
    expires: datetime
    taken_from: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementChange:
    """One row of the statement history: ``before`` None: appeared; ``after`` None: disappeared."""

    seq: int
    statement_id: str
    subject: ItemId
    property: PropertyId
    revision: int
    seen_at: datetime
    before: Statement | None
    after: Statement | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Belief:
    """What was believed of a fact from ``at`` on, until the next one."""

    at: datetime
    state: FactState


@dataclass(frozen=True, slots=True, kw_only=True)
class FactCounts:
    """Facts of one property: ``askable`` ones are believed and have an answer, ``waiting`` ones are observed and not
    yet believed."""

    facts: int
    believed: int
    askable: int
    waiting: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PullCounts:
    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0

    def __add__(self, other: PullCounts) -> PullCounts:
        return PullCounts(
            added=self.added + other.added,
            changed=self.changed + other.changed,
            removed=self.removed + other.removed,
            unchanged=self.unchanged + other.unchanged,
        )
