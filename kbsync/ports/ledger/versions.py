"""Plans, the versions that are built from them, and how those were evaluated."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import datetime

from kbsync.domain.fact import FactKey
from kbsync.domain.plan import EditPlan, PlanCounts, PlanEntry
from kbsync.domain.version import Evaluation, PromptOutcome, Version, VersionState
from kbsync.ports.ledger.records import RecordedPlan, StoredPlan

KEPT_PLANS = 20
"""Of the plans from which nothing was built, those stay that are among so many that were recorded last."""


class VersionReader(ABC):
    """Reads plans, versions and evaluations."""

    @abstractmethod
    def plan(self, plan_hash: str) -> EditPlan | None:
        """A recorded plan by its content hash."""

    @abstractmethod
    def newest_plan(self) -> StoredPlan | None:
        """The plan that was recorded last; None before the first."""

    @abstractmethod
    def plan_entries(self, key: FactKey) -> dict[str, PlanEntry]:
        """What each plan does with one fact, by plan hash; plans that do not mention it are left out."""

    @abstractmethod
    def plan_counts(self) -> dict[str, PlanCounts]:
        """Every plan that is kept in numbers, by its hash; the newest plan is the last."""

    @abstractmethod
    def versions(self) -> list[Version]:
        """All versions by number."""

    @abstractmethod
    def version(self, number: int) -> Version | None:
        """One version; None for an unknown number."""

    @abstractmethod
    def version_by_build(self, build_hash: str) -> Version | None:
        """The version that was intended for this build hash, whatever became of it."""

    @abstractmethod
    def evaluation(self, number: int) -> Evaluation | None:
        """The newest evaluation of a version."""

    @abstractmethod
    def evaluation_summary(self, number: int) -> Evaluation | None:
        """The same without its outcomes, of which there may be thousands."""

    @abstractmethod
    def outcomes(self, key: FactKey, group: str) -> dict[int, PromptOutcome]:
        """What the newest evaluation of each version found of one fact (the first of ``group``), by version number."""


class VersionWriter(VersionReader):
    """Writes plans, versions and evaluations."""

    @abstractmethod
    def record_plan(self, plan: EditPlan, at: datetime) -> RecordedPlan:
        """Store the plan and make it the newest, even where it was recorded before.

        A plan from which no version was built stays until ``KEPT_PLANS`` others were recorded after it; the audit
        trail holds what it was.
        """

    @abstractmethod
    def add_version(self, plan_hash: str, plan: EditPlan, at: datetime) -> Version:
        """Record the intent to build: the next number in state ``building``.

        A build hash has one version at most: where there is one already, it is returned.

        Raises:
            NotFound: The plan was not recorded, or its predecessor is unknown.
        """

    @abstractmethod
    def set_version_state(self, number: int, state: VersionState, *, version_hash: str | None = None) -> None:
        """Set the state, and once, with ``candidate``, the version hash.

        Raises:
            NotFound: The version is unknown.
            DataError: Another hash was set before, or the state does not fit having (or lacking) stored weights.
        """

    @abstractmethod
    def record_evaluation(self, evaluation: Evaluation) -> None:
        """Add an evaluation of a version, which becomes its newest; raises ``NotFound`` for an unknown version."""
