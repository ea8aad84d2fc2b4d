"""Records that the ledger hands out beside the domain's own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from kbsync.domain.fact import FactState
from kbsync.domain.plan import EditPlan
from kbsync.domain.statement import ItemId, PropertyId, Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class PullCounts:
    """The statements that a pull found, counted by comparison with the stored ones."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementChange:
    """One row of the statement history."""

    seq: int
    """Grows with every row."""
    statement_id: str
    subject: ItemId
    property: PropertyId
    revision: int
    """The item's revision that brought the change."""
    seen_at: datetime
    before: Statement | None
    """None: the statement appeared."""
    after: Statement | None
    """None: the statement disappeared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Belief:
    """What was believed of a fact from one moment on, until its next belief."""

    at: datetime
    state: FactState


@dataclass(frozen=True, slots=True, kw_only=True)
class FactCounts:
    """Numbers of facts of one property."""

    facts: int
    believed: int
    askable: int
    """Believed, and with a value that the model can be asked for."""
    waiting: int
    """Observed with a value that is not believed yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """Why a fact is left out of every plan for as long as it has the value that was tried."""

    value_hash: str
    """Hash of the values that were tried."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPlan:
    """A plan with its content hash."""

    plan_hash: str
    plan: EditPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedPlan:
    """What recording a plan came to."""

    plan_hash: str
    """Content hash of the plan."""
    is_new: bool
    """False: the ledger held the same plan already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasState:
    """One position of an alias."""

    name: str
    number: int
    """The version that the alias points to; 0 is the unedited base."""
    token: int
    """Fencing token of the process that moved it there."""
    moved_at: datetime
    seq: int
    """Grows with every move of any alias."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """How far a notifier was told of the moves of ``current``."""

    notifier: str
    move: int
    """``AliasState.seq`` of the last move that it was told of, or that was given up."""
    attempts: int
    """How often telling it of the next move was tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldLease:
    """Who holds a lease, as others see it."""

    name: str
    holder: str
    expires: datetime
    """The holder has it until then, unless it gives it back before."""
    process: str | None
    """Identity of the holder's process; None where the holder did not tell it."""

    def __str__(self) -> str:
        return f"{self.holder} holds the lease {self.name!r} until {self.expires:%Y-%m-%d %H:%M:%S} UTC."


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseToken:
    """Proof of holding a lease."""

    name: str
    holder: str
    token: int
    """The fencing token; it grows with every new holder."""
    expires: datetime
    taken_from: str = ""
    """The holder that was found dead before its lease had expired; empty where there was none."""
