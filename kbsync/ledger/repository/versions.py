"""Plans, the versions that they build, and the evaluations of those."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Subquery, exists, func, select

from kbsync.domain.canonical import canonical_json
from kbsync.domain.errors import DataError, NotFound
from kbsync.domain.fact import FactKey
from kbsync.domain.plan import EditPlan, PlanCounts, PlanEntry
from kbsync.domain.version import Evaluation, PromptOutcome, Version, VersionState
from kbsync.ledger import row_journal, tables
from kbsync.ledger.repository.base import Repository
from kbsync.ports import RecordedPlan, StoredPlan, VersionReader, VersionWriter
from kbsync.ports.ledger.versions import KEPT_PLANS


class SqlVersionReader(Repository, VersionReader):
    """Reads plans, versions and evaluations."""

    def plan(self, plan_hash: str) -> EditPlan | None:
        """A recorded plan by its content hash."""
        plan: EditPlan | None = self._connection.scalar(
            select(tables.plans.c.body).where(tables.plans.c.hash == plan_hash)
        )
        return plan

    def newest_plan(self) -> StoredPlan | None:
        """The plan that was recorded last; None before the first."""
        plan_hash = self._newest_plan_hash()
        plan = self.plan(plan_hash) if plan_hash else None
        return StoredPlan(plan_hash=plan_hash, plan=plan) if plan_hash and plan else None

    def _newest_plan_hash(self) -> str | None:
        recordings = tables.plan_recordings
        return self._connection.scalar(select(recordings.c.plan).order_by(recordings.c.seq.desc()).limit(1))

    def versions(self) -> list[Version]:
        """All versions by number."""
        return [
            _version(row)
            for row in self._connection.execute(select(tables.versions).order_by(tables.versions.c.number))
        ]

    def version(self, number: int) -> Version | None:
        """One version; None for an unknown number."""
        return _find_version(self._connection, number)

    def version_by_build(self, build_hash: str) -> Version | None:
        """The version with this build hash, in whatever state it is."""
        row = self._connection.execute(
            select(tables.versions).where(tables.versions.c.build_hash == build_hash)
        ).one_or_none()
        return _version(row) if row else None

    def plan_entries(self, key: FactKey) -> dict[str, PlanEntry]:
        """What each plan does with one fact, by plan hash; read from the entries, not from whole plans."""
        entries = tables.plan_entries.c
        about = (entries.subject == key.subject) & (entries.property == key.property)
        rows = self._connection.execute(select(entries.plan, entries.body).where(about))
        return {row.plan: row.body for row in rows}

    def plan_counts(self) -> dict[str, PlanCounts]:
        """Every plan that is kept in numbers, by its hash; the newest plan is the last."""
        recordings = tables.plan_recordings.c
        rows = self._connection.execute(select(recordings.plan, recordings.counts).order_by(recordings.seq.desc()))
        counts: dict[str, PlanCounts] = {}
        for row in rows:
            counts.setdefault(row.plan, row.counts)
        return dict(reversed(counts.items()))

    def evaluation(self, number: int) -> Evaluation | None:
        """The newest evaluation of a version, with its outcomes in their order."""
        seq, evaluation = self._newest_evaluation(number)
        if evaluation is None:
            return None
        outcomes = (
            select(tables.outcomes.c.body).where(tables.outcomes.c.evaluation == seq).order_by(tables.outcomes.c.place)
        )
        return replace(evaluation, outcomes=tuple(self._connection.scalars(outcomes)))

    def evaluation_summary(self, number: int) -> Evaluation | None:
        """The newest evaluation of a version, without its outcomes."""
        return self._newest_evaluation(number)[1]

    def outcomes(self, key: FactKey, group: str) -> dict[int, PromptOutcome]:
        """What the newest evaluation of each version found of one fact, by version number."""
        outcomes, newest = tables.outcomes.c, _newest_evaluations()
        about = (outcomes.subject == key.subject) & (outcomes.property == key.property) & (outcomes.group == group)
        query = select(newest.c.version, outcomes.body).join(newest, newest.c.seq == outcomes.evaluation).where(about)
        # Of several rows of one version the last one in this order stays, which is the first of the group.
        rows = self._connection.execute(query.order_by(outcomes.evaluation, outcomes.place.desc()))
        return {row.version: row.body for row in rows}

    def _newest_evaluation(self, number: int) -> tuple[int, Evaluation | None]:
        """The newest evaluation without its outcomes, and its row's number (0 where there is none)."""
        table = tables.evaluations
        query = select(table.c.seq, table.c.body).where(table.c.version == number).order_by(table.c.seq.desc())
        row = self._connection.execute(query.limit(1)).one_or_none()
        return (row.seq, row.body) if row else (0, None)


class SqlVersionWriter(SqlVersionReader, VersionWriter):
    """Writes plans, versions and evaluations."""

    def record_plan(self, plan: EditPlan, at: datetime) -> RecordedPlan:
        """Store a new plan with its entries, and make the plan the newest."""
        body = canonical_json(plan)
        plan_hash = body.content_hash
        known = self._connection.scalar(select(tables.plans.c.hash).where(tables.plans.c.hash == plan_hash))
        if known is None:
            self._insert(tables.plans, [{"hash": plan_hash, "body": body}])
            self._insert(tables.plan_entries, [entry_row(plan_hash, entry) for entry in plan.entries])
        if self._newest_plan_hash() != plan_hash:
            self._insert(tables.plan_recordings, [{"plan": plan_hash, "at": at, "counts": plan.counts}])
            self._forget_old_plans()
        return RecordedPlan(plan_hash=plan_hash, is_new=known is None)

    def _forget_old_plans(self) -> None:
        """Remove what nothing was built from, but for the newest ones, and recordings that others have replaced."""
        recordings, plans = tables.plan_recordings, tables.plans
        kept = select(recordings.c.seq).order_by(recordings.c.seq.desc()).limit(KEPT_PLANS)
        first = min(self._connection.scalars(kept))
        built = select(tables.versions.c.plan)
        newer = recordings.alias()
        repeated = exists().where(newer.c.plan == recordings.c.plan, newer.c.seq > recordings.c.seq)
        self._delete(recordings, (recordings.c.seq < first) & (recordings.c.plan.not_in(built) | repeated))
        gone = plans.c.hash.not_in(select(recordings.c.plan)) & plans.c.hash.not_in(built)
        self._delete(tables.plan_entries, tables.plan_entries.c.plan.in_(select(plans.c.hash).where(gone)))
        self._delete(plans, gone)

    def add_version(self, plan_hash: str, plan: EditPlan, at: datetime) -> Version:
        """Insert the next number in state ``building``, unless the build hash has a version already."""
        known = self.version_by_build(plan.build_hash)
        if known is not None:
            return known
        if self._connection.scalar(select(tables.plans.c.hash).where(tables.plans.c.hash == plan_hash)) is None:
            raise NotFound(f"The ledger holds no plan {plan_hash}.", next_step="Make one: `kbsync plan`.")
        if plan.predecessor:
            require_version(self._connection, plan.predecessor)
        last = self._connection.scalar(select(func.max(tables.versions.c.number))) or 0
        row = {
            "number": last + 1,
            "base_fingerprint": plan.base_fingerprint,
            "build_hash": plan.build_hash,
            "plan": plan_hash,
            "state": VersionState.BUILDING,
            "predecessor": plan.predecessor or None,
            "created_at": at,
        }
        self._insert(tables.versions, [row])
        return require_version(self._connection, last + 1)

    def set_version_state(self, number: int, state: VersionState, *, version_hash: str | None = None) -> None:
        """Set the state, and the version hash where there is none yet."""
        stored = require_version(self._connection, number).version_hash
        if stored and version_hash and stored != version_hash:
            raise DataError(f"Version {number} has the hash {stored}, which {version_hash} can't replace.")
        new = version_hash or stored
        if (state is VersionState.BUILDING) != (new is None):
            has = "stored weights" if new else "no stored weights"
            raise DataError(f"Version {number} has {has}, so its state can't be {state.value!r}.")
        self._update(tables.versions, tables.versions.c.number == number, state=state, version_hash=new)

    def record_evaluation(self, evaluation: Evaluation) -> None:
        """Insert the evaluation, and each of its outcomes as a row of its own."""
        require_version(self._connection, evaluation.version)
        row = {"version": evaluation.version, "body": replace(evaluation, outcomes=())}
        row_journal.note(self._connection, tables.evaluations, [row])
        seq = self._connection.scalar(tables.evaluations.insert().values(row).returning(tables.evaluations.c.seq))
        self._insert(tables.outcomes, [_outcome_row(seq or 0, place, o) for place, o in enumerate(evaluation.outcomes)])


def require_version(connection: Connection, number: int) -> Version:
    """The version with this number; raises ``NotFound`` for an unknown one."""
    version = _find_version(connection, number)
    if version is None:
        raise NotFound(
            f"The ledger holds no version {number}.", next_step="`kbsync versions` lists those that it does."
        )
    return version


def _find_version(connection: Connection, number: int) -> Version | None:
    row = connection.execute(select(tables.versions).where(tables.versions.c.number == number)).one_or_none()
    return _version(row) if row else None


def _newest_evaluations() -> Subquery:
    """By version, the row number of its newest evaluation."""
    table = tables.evaluations.c
    return select(table.version, func.max(table.seq).label("seq")).group_by(table.version).subquery()


def entry_row(plan_hash: str, entry: PlanEntry) -> dict[str, Any]:
    """The row of ``plan_entries`` for an entry of a plan."""
    return {**entry.key._asdict(), "plan": plan_hash, "held": entry.request is not None, "body": entry}


def _outcome_row(seq: int, place: int, outcome: PromptOutcome) -> dict[str, Any]:
    about = {"group": outcome.group, "subject": outcome.subject, "property": outcome.property}
    return {**about, "evaluation": seq, "place": place, "body": outcome}


def _version(row: Row[Any]) -> Version:
    return Version(
        number=row.number,
        base_fingerprint=row.base_fingerprint,
        build_hash=row.build_hash,
        plan_hash=row.plan,
        state=row.state,
        version_hash=row.version_hash,
        predecessor=row.predecessor or 0,
        created_at=row.created_at,
    )


def count_plans(connection: Connection) -> None:
    """Give those recordings the numbers of their plans that an earlier kbsync made without."""
    recordings, plans = tables.plan_recordings, tables.plans
    for plan_hash in connection.scalars(
        select(recordings.c.plan).where(recordings.c.counts.is_(None)).distinct()
    ).all():
        plan: EditPlan | None = connection.scalar(select(plans.c.body).where(plans.c.hash == plan_hash))
        if plan is not None:
            connection.execute(recordings.update().where(recordings.c.plan == plan_hash).values(counts=plan.counts))
