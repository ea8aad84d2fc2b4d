"""The verdicts of models on facts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime

from kbsync.domain.fact import FactKey, FactRecord
from kbsync.domain.statement import PropertyId
from kbsync.domain.verdict import Verdict, VerdictKey, VerdictKind


class VerdictReader(ABC):
    """Reads verdicts."""

    @abstractmethod
    def verdicts(self, model_fingerprint: str) -> dict[VerdictKey, Verdict]:
        """All verdicts on one model."""

    @abstractmethod
    def verdict(self, key: VerdictKey) -> Verdict | None:
        """One verdict; None where the question was not asked yet."""

    @abstractmethod
    def verdicts_on(self, facts: Sequence[FactKey], model_fingerprint: str) -> dict[VerdictKey, Verdict]:
        """All verdicts on one model about these facts, also about values that they had once."""

    @abstractmethod
    def verdict_counts(
        self, property: PropertyId, model_fingerprint: str, template_hash: str
    ) -> dict[VerdictKind, int]:
        """By kind, the verdicts on what is believed now; kinds without any are left out."""

    @abstractmethod
    def unjudged(self, property: PropertyId, model_fingerprint: str, template_hash: str) -> list[FactRecord]:
        """Askable facts without a verdict on what is believed now, sorted by key."""


class VerdictWriter(VerdictReader):
    """Writes verdicts."""

    @abstractmethod
    def record_verdicts(self, verdicts: Sequence[Verdict], at: datetime) -> int:
        """Insert those whose key is new, in place of those that were judged by other names; returns how many were."""
