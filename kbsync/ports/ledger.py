"""The ledger: what can be asked of it, and what can be written, in one transaction."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any

from kbsync.domain.audit import AuditEvent
from kbsync.domain.decision import Decision
from kbsync.domain.fact import FactKey, FactRecord
from kbsync.domain.history import HistoryLink
from kbsync.domain.plan import EditPlan, PlanEntry
from kbsync.domain.statement import ItemHead, ItemId, ItemRecord, Labels, PropertyId, Statement
from kbsync.domain.verdict import Verdict, VerdictKey, VerdictKind
from kbsync.domain.version import Evaluation, Outcome, Version, VersionState
from kbsync.ports.records import AliasState, Belief, Delivered, FactCounts, LeaseToken, PullCounts, StatementChange


class LedgerReader(ABC):
    """What can be asked of the ledger, inside one consistent read."""

    @abstractmethod
    def watermark(self, source: str) -> datetime | None:
        """The source's server time at the last complete pull."""

    @abstractmethod
    def heads(self, items: Sequence[ItemId]) -> dict[ItemId, ItemHead]:
        """Stored heads of those items that are known."""

    @abstractmethod
    def redirects(self) -> dict[ItemId, ItemId]:
        """Every known item that is a redirect, and where it leads."""

    @abstractmethod
    def statements(self, subject: ItemId, property: PropertyId) -> list[Statement]:
        """Live statements, by id."""

    @abstractmethod
    def statements_of(self, property: PropertyId, subjects: Sequence[ItemId]) -> dict[ItemId, list[Statement]]:
        """Live statements of one property for many subjects, each list by id; subjects without any are left out."""

    @abstractmethod
    def history(self, subject: ItemId, property: PropertyId) -> list[StatementChange]:
        """All changes ever seen, oldest first."""

    @abstractmethod
    def history_links(self) -> Iterator[HistoryLink]:
        """The whole statement history as a hash chain, in order; read as it is consumed."""

    @abstractmethod
    def history_head(self) -> str:
        """Hash of the newest row of the statement history (``GENESIS`` when there is none)."""

    @abstractmethod
    def labels(self, items: Sequence[ItemId]) -> dict[ItemId, Labels]:
        """Stored labels of those items that are known."""

    @abstractmethod
    def facts(self, property: PropertyId | None = None) -> list[FactRecord]:
        """All fact records (of one property), sorted by key."""

    @abstractmethod
    def fact(self, key: FactKey) -> FactRecord | None: ...

    @abstractmethod
    def beliefs(self, key: FactKey) -> list[Belief]:
        """Everything that was ever believed of the fact, oldest first."""

    @abstractmethod
    def verdicts(self, model_fingerprint: str) -> dict[VerdictKey, Verdict]:
        """All verdicts on one model."""

    @abstractmethod
    def verdict(self, key: VerdictKey) -> Verdict | None: ...

    @abstractmethod
    def fact_counts(self, property: PropertyId) -> FactCounts: ...

    @abstractmethod
    def verdict_counts(
        self, property: PropertyId, model_fingerprint: str, template_hash: str
    ) -> dict[VerdictKind, int]:
        """By kind, the verdicts on what is believed now; kinds without any are left out."""

    @abstractmethod
    def unjudged(self, property: PropertyId, model_fingerprint: str, template_hash: str) -> list[FactRecord]:
        """Askable facts without a verdict on what is believed now, sorted by key."""

    @abstractmethod
    def quarantine(self) -> dict[FactKey, tuple[str, str]]:
        """Quarantined facts: (value hash that was tried, reason)."""

    @abstractmethod
    def decisions(self) -> dict[FactKey, Decision]:
        """What people decided and did not withdraw."""

    @abstractmethod
    def members(self, property: PropertyId) -> list[ItemId]:
        """The items that the relation's subject pattern found when it was asked last, sorted."""

    @abstractmethod
    def plan(self, plan_hash: str) -> EditPlan | None:
        """A recorded plan by its content hash; ``newest_plan`` gives the last one."""

    @abstractmethod
    def newest_plan(self) -> tuple[str, EditPlan] | None: ...

    @abstractmethod
    def plan_entries(self, key: FactKey) -> dict[str, PlanEntry]:
        """What each plan does with one fact, by plan hash; plans that do not mention it are left out."""

    @abstractmethod
    def held_counts(self) -> dict[str, int]:
        """How many facts each plan writes, by plan hash; plans that write none are left out."""

    @abstractmethod
    def versions(self) -> list[Version]:
        """All versions by number."""

    @abstractmethod
    def version(self, number: int) -> Version | None: ...

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
    def outcomes(self, key: FactKey, group: str) -> dict[int, Outcome]:
        """What the newest evaluation of each version found of one fact (the first of ``group``), by version number."""

    @abstractmethod
    def delivery(self, notifier: str) -> Delivered | None:
        """How far a notifier was told of what became current; None for one that the ledger does not know."""

    @abstractmethod
    def alias(self, name: str) -> AliasState | None: ...

    @abstractmethod
    def alias_moves(self, name: str) -> list[AliasState]:
        """Every position the alias ever had, oldest first."""

    @abstractmethod
    def audit(self, *, after: int = 0, limit: int | None = None, kind: str | None = None) -> list[AuditEvent]:
        """Events with seq > ``after`` (of one kind), in order."""

    @abstractmethod
    def newest_event(self, kind: str | None = None) -> AuditEvent | None:
        """The last event (of that kind)."""

    @abstractmethod
    def audit_head(self) -> str:
        """Hash of the newest event (``GENESIS`` when there is none)."""


class LedgerTransaction(LedgerReader):
    """One write transaction: all of it is committed, or none of it."""

    @abstractmethod
    def set_watermark(self, source: str, at: datetime) -> None: ...

    @abstractmethod
    def record_items(self, records: Sequence[ItemRecord], properties: Sequence[PropertyId], at: datetime) -> PullCounts:
        """Upsert heads, labels and statements, and write the history of what differs.

        A live statement of ``properties`` that a record lacks has disappeared. A record with a revision below the
        stored one is ignored (the source answered from a stale cache).
        """

    @abstractmethod
    def record_labels(self, labels: Sequence[Labels]) -> None: ...

    @abstractmethod
    def put_facts(self, records: Sequence[FactRecord]) -> None: ...

    @abstractmethod
    def record_verdicts(self, verdicts: Sequence[Verdict], at: datetime) -> int:
        """Insert those whose key is new; returns how many were."""

    @abstractmethod
    def set_quarantine(self, key: FactKey, value_hash: str, reason: str, at: datetime) -> None: ...

    @abstractmethod
    def clear_quarantine(self, key: FactKey) -> None: ...

    @abstractmethod
    def set_decision(self, decision: Decision) -> None:
        """Takes the place of an earlier one about the same fact, which the ledger must hold."""

    @abstractmethod
    def clear_decision(self, key: FactKey) -> None: ...

    @abstractmethod
    def set_members(self, property: PropertyId, items: Sequence[ItemId], at: datetime) -> None:
        """These and no others; those that were members before keep the time at which they were found."""

    @abstractmethod
    def record_plan(self, plan: EditPlan, at: datetime) -> tuple[str, bool]:
        """Returns (content hash of the plan, whether it is new)."""

    @abstractmethod
    def add_version(self, plan_hash: str, plan: EditPlan, at: datetime) -> Version:
        """The intent: the next number in state ``building``. A build hash has one version at most (idempotency key)."""

    @abstractmethod
    def set_version_state(self, number: int, state: VersionState, *, version_hash: str | None = None) -> None:
        """``version_hash`` is set once, with ``candidate``. Raises ``NotFound``."""

    @abstractmethod
    def record_evaluation(self, evaluation: Evaluation) -> None: ...

    @abstractmethod
    def move_alias(self, name: str, number: int, lease: LeaseToken, at: datetime) -> None:
        """Checks inside this transaction that ``lease`` is the newest holder's and not expired; raises ``LeaseLost``."""

    @abstractmethod
    def set_delivery(self, delivered: Delivered) -> None: ...

    @abstractmethod
    def append_audit(self, kind: str, actor: str, body: Mapping[str, Any], at: datetime) -> AuditEvent: ...

    @abstractmethod
    def acquire_lease(
        self,
        name: str,
        holder: str,
        ttl: timedelta,
        now: datetime,
        *,
        process: str | None = None,
        is_gone: Callable[[str | None], bool] = lambda _: False,
    ) -> LeaseToken:
        """A free or expired lease, or one whose holder's ``process`` ``is_gone``, goes to ``holder`` with the next
        token; raises ``Busy`` naming the other holder."""

    @abstractmethod
    def renew_lease(self, lease: LeaseToken, ttl: timedelta, now: datetime) -> LeaseToken:
        """Raises ``LeaseLost`` when somebody else holds it or it expired."""

    @abstractmethod
    def release_lease(self, lease: LeaseToken) -> None:
        """Nothing happens when it is lost already."""


class Ledger(ABC):
    @abstractmethod
    def read(self) -> AbstractContextManager[LedgerReader]:
        """A read transaction; never blocks writers, nor they it."""

    @abstractmethod
    def write(self) -> AbstractContextManager[LedgerTransaction]:
        """A write transaction: commits at the end of the block, rolls back on any exception."""

    @abstractmethod
    def close(self) -> None: ...
