"""Plans, the versions that they build, and the evaluations of those."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Subquery, func, select

from kbsync.domain.canonical import content_hash
from kbsync.domain.errors import DataError, NotFound
from kbsync.domain.fact import FactKey
from kbsync.domain.plan import EditPlan, PlanEntry
from kbsync.domain.version import Evaluation, PromptOutcome, Version, VersionState
from kbsync.ledger import tables as t
from kbsync.ledger.repository.base import Repository
from kbsync.ports import RecordedPlan, StoredPlan, VersionReader, VersionWriter


class SqlVersionReader(Repository, VersionReader):
    def plan(self, plan_hash: str) -> EditPlan | None:
        plan: EditPlan | None = self._connection.scalar(select(t.plans.c.body).where(t.plans.c.hash == plan_hash))
        return plan

    def newest_plan(self) -> StoredPlan | None:
        plan_hash = self._newest_plan_hash()
        plan = self.plan(plan_hash) if plan_hash else None
        return StoredPlan(plan_hash=plan_hash, plan=plan) if plan_hash and plan else None

    def _newest_plan_hash(self) -> str | None:
        recordings = t.plan_recordings
        return self._connection.scalar(select(recordings.c.plan).order_by(recordings.c.seq.desc()).limit(1))

    def versions(self) -> list[Version]:
        return [_version(row) for row in self._connection.execute(select(t.versions).order_by(t.versions.c.number))]

    def version(self, number: int) -> Version | None:
        return _find_version(self._connection, number)

    def version_by_build(self, build_hash: str) -> Version | None:
        row = self._connection.execute(select(t.versions).where(t.versions.c.build_hash == build_hash)).one_or_none()
        return _version(row) if row else None

    def plan_entries(self, key: FactKey) -> dict[str, PlanEntry]:
        entries = t.plan_entries.c
        wanted = (entries.subject == key.subject) & (entries.property == key.property)
        found = self._connection.execute(select(entries.plan, entries.body).where(wanted))
        return {row.plan: row.body for row in found}

    def request_counts(self) -> dict[str, int]:
        entries = t.plan_entries.c
        counted = select(entries.plan, func.count()).where(entries.held).group_by(entries.plan)
        return {row[0]: row[1] for row in self._connection.execute(counted)}

    def evaluation(self, number: int) -> Evaluation | None:
        seq, found = self._newest_evaluation(number)
        if found is None:
            return None
        outcomes = select(t.outcomes.c.body).where(t.outcomes.c.evaluation == seq).order_by(t.outcomes.c.place)
        return replace(found, outcomes=tuple(self._connection.scalars(outcomes)))

    def evaluation_summary(self, number: int) -> Evaluation | None:
        return self._newest_evaluation(number)[1]

    def outcomes(self, key: FactKey, group: str) -> dict[int, PromptOutcome]:
        told, newest = t.outcomes.c, _newest_evaluations()
        wanted = (told.subject == key.subject) & (told.property == key.property) & (told.group == group)
        asked = select(newest.c.version, told.body).join(newest, newest.c.seq == told.evaluation)
        rows = self._connection.execute(asked.where(wanted).order_by(told.evaluation, told.place.desc()))
        return {row.version: row.body for row in rows}

    def _newest_evaluation(self, number: int) -> tuple[int, Evaluation | None]:
        table = t.evaluations
        newest = select(table.c.seq, table.c.body).where(table.c.version == number).order_by(table.c.seq.desc())
        row = self._connection.execute(newest.limit(1)).one_or_none()
        return (row.seq, row.body) if row else (0, None)


class SqlVersionWriter(SqlVersionReader, VersionWriter):
    def record_plan(self, plan: EditPlan, at: datetime) -> RecordedPlan:
        plan_hash = content_hash(plan)
        known = self._connection.scalar(select(t.plans.c.hash).where(t.plans.c.hash == plan_hash))
        if known is None:
            self._insert(t.plans, [{"hash": plan_hash, "body": plan}])
            self._insert(t.plan_entries, [_entry_row(plan_hash, entry) for entry in plan.entries])
        if self._newest_plan_hash() != plan_hash:
            self._insert(t.plan_recordings, [{"plan": plan_hash, "at": at}])
        return RecordedPlan(plan_hash=plan_hash, is_new=known is None)

    def add_version(self, plan_hash: str, plan: EditPlan, at: datetime) -> Version:
        known = self.version_by_build(plan.build_hash)
        if known is not None:
            return known
        if self._connection.scalar(select(t.plans.c.hash).where(t.plans.c.hash == plan_hash)) is None:
            raise NotFound(f"The ledger holds no plan {plan_hash}.", next_step="Make one: `kbsync plan`.")
        if plan.predecessor:
            require_version(self._connection, plan.predecessor)
        last = self._connection.scalar(select(func.max(t.versions.c.number))) or 0
        row = {
            "number": last + 1,
            "base_fingerprint": plan.base_fingerprint,
            "build_hash": plan.build_hash,
            "plan": plan_hash,
            "state": VersionState.BUILDING,
            "predecessor": plan.predecessor or None,
            "created_at": at,
        }
        self._insert(t.versions, [row])
        return require_version(self._connection, last + 1)

    def set_version_state(self, number: int, state: VersionState, *, version_hash: str | None = None) -> None:
        stored = require_version(self._connection, number).version_hash
        if stored and version_hash and stored != version_hash:
            raise DataError(f"Version {number} has the hash {stored}, which {version_hash} can't replace.")
        new = version_hash or stored
        if (state is VersionState.BUILDING) != (new is None):
            has = "stored weights" if new else "no stored weights"
            raise DataError(f"Version {number} has {has}, so its state can't be {state.value!r}.")
        change = t.versions.update().where(t.versions.c.number == number)
        self._connection.execute(change.values(state=state, version_hash=new))

    def record_evaluation(self, evaluation: Evaluation) -> None:
        require_version(self._connection, evaluation.version)
        row = {"version": evaluation.version, "body": replace(evaluation, outcomes=())}
        seq = self._connection.scalar(t.evaluations.insert().values(row).returning(t.evaluations.c.seq))
        self._insert(t.outcomes, [_outcome_row(seq or 0, place, o) for place, o in enumerate(evaluation.outcomes)])


def require_version(connection: Connection, number: int) -> Version:
    """The version with this number; raises ``NotFound`` for an unknown one."""
    version = _find_version(connection, number)
    if version is None:
        raise NotFound(
            f"The ledger holds no version {number}.", next_step="`kbsync versions` lists those that it does."
        )
    return version


def _find_version(connection: Connection, number: int) -> Version | None:
    row = connection.execute(select(t.versions).where(t.versions.c.number == number)).one_or_none()
    return _version(row) if row else None


def _newest_evaluations() -> Subquery:
    table = t.evaluations.c
    return select(table.version, func.max(table.seq).label("seq")).group_by(table.version).subquery()


def _entry_row(plan_hash: str, entry: PlanEntry) -> dict[str, Any]:
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
