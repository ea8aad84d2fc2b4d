"""Facts: what is observed and believed of them, the quarantine, and what people decided."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime

from kbsync.domain.decision import Decision
from kbsync.domain.fact import FactKey, FactRecord
from kbsync.domain.statement import PropertyId
from kbsync.ports.ledger.records import Belief, FactCounts, Quarantined


class FactReader(ABC):
    """Reads facts and what was found and decided about them."""

    @abstractmethod
    def facts(self, property: PropertyId | None = None) -> list[FactRecord]:
        """All fact records (of one property), sorted by key."""

    @abstractmethod
    def fact(self, key: FactKey) -> FactRecord | None:
        """One fact record; None for an unknown fact."""

    @abstractmethod
    def facts_of(self, keys: Sequence[FactKey]) -> list[FactRecord]:
        """The fact records with these keys, sorted by key; unknown ones are left out."""

    @abstractmethod
    def waiting(self, property: PropertyId) -> list[FactRecord]:
        """The fact records of one property that are pending, sorted by key."""

    @abstractmethod
    def beliefs(self, key: FactKey) -> list[Belief]:
        """Everything that was ever believed of the fact, oldest first."""

    @abstractmethod
    def fact_counts(self, property: PropertyId) -> FactCounts:
        """How many facts of the property there are, and in which state."""

    @abstractmethod
    def quarantine(self, among: Sequence[FactKey] | None = None) -> dict[FactKey, Quarantined]:
        """The facts in quarantine (of those in ``among``; None: all)."""

    @abstractmethod
    def decisions(self) -> dict[FactKey, Decision]:
        """What people decided and did not withdraw."""


class FactWriter(FactReader):
    """Writes facts and what was found and decided about them."""

    @abstractmethod
    def put_facts(self, records: Sequence[FactRecord]) -> None:
        """Insert or replace; a belief that differs from the stored one is added to the fact's beliefs."""

    @abstractmethod
    def set_quarantine(self, key: FactKey, value_hash: str, reason: str, at: datetime) -> None:
        """Put a fact into quarantine, or replace the value and the reason that it is there for."""

    @abstractmethod
    def clear_quarantine(self, key: FactKey) -> None:
        """Let a fact out; nothing happens to one that is not in quarantine."""

    @abstractmethod
    def set_decision(self, decision: Decision) -> None:
        """Replace the earlier decision about the same fact, which the ledger must hold."""

    @abstractmethod
    def clear_decision(self, key: FactKey) -> None:
        """Withdraw the decision about a fact; nothing happens where there is none."""
