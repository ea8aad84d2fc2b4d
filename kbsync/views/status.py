"""Where everything stands, for the command line and the status page: frozen values from one read of the ledger.

:func:`kbsync.domain.canonical.plain` turns each into JSON data; the names of the fields are a contract.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from kbsync.domain.errors import NotFound
from kbsync.domain.gate import Metric
from kbsync.domain.plan import PlanCounts
from kbsync.domain.relation import Relation
from kbsync.domain.verdict import VerdictKind
from kbsync.domain.version import Version
from kbsync.ports import AuditReader, LedgerReader, NamedFactReader, VersionReader
from kbsync.stages.pull.clock import ahead_of_time, refused_time
from kbsync.stages.release.promote import current_number
from kbsync.stages.release.refusals import refusals_in_a_row


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionView:
    """One version."""

    number: int
    state: str
    current: bool
    """Whether it is the version in use."""
    facts: int
    """Number of facts that it holds."""
    predecessor: int
    """The version that was current when it was planned; 0: the base."""
    created_at: datetime
    hash: str | None
    """Null until it is built."""
    base: str
    """Fingerprint of the base model."""
    plan: str
    """Hash of the plan that it was built from."""
    passed: bool | None
    """What the gate decided; null while it is not evaluated."""
    metrics: tuple[Metric, ...]
    reasons: tuple[str, ...]
    """The gate's, one for each threshold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionsView:
    """All versions, by number."""

    current: int
    """The number of the version in use; 0: the base."""
    versions: tuple[VersionView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RelationView:
    """One watched relation, and its facts counted by how far they have come."""

    name: str
    property: str
    facts: int
    believed: int
    waiting: int
    """Observed and not yet believed."""
    verdicts: dict[str, int]
    """Believed facts that have an answer, by the verdict on the base that was probed last."""
    unasked: int
    """Believed facts that have an answer and no verdict yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSummary:
    """A recorded plan in numbers of facts."""

    hash: str
    predecessor: int
    """The version that was current when it was made; 0: the base."""
    add: int
    change: int
    retract: int
    keep: int
    refused: int
    guards: int
    """Facts that the base has right and that the edit is to leave so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineView:
    """A fact that is left out of plans until its value changes."""

    subject: str
    property: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DecidedView:
    """A pin or an exclusion that stands."""

    subject: str
    property: str
    decision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusView:
    """Where everything stands."""

    at: datetime
    """When the ledger was read."""
    source: str | None
    """The source that was pulled last; null before the first pull."""
    watermark: datetime | None
    """The time up to which it was pulled."""
    time_problem: str | None
    """Why a person has to look at the time that the source says; null where none has to."""
    model: str | None
    """Fingerprint of the base that was probed last."""
    relations: tuple[RelationView, ...]
    plan: PlanSummary | None
    """The newest plan."""
    current: VersionView | None
    """Null while the unedited base is in use."""
    newest: VersionView | None
    quarantine: tuple[QuarantineView, ...]
    refusals: int
    """Refused cycles since a version was promoted."""
    decisions: tuple[DecidedView, ...]
    audit_head: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All that one read of the ledger tells about its state."""

    status: StatusView
    versions: VersionsView


def snapshot(tx: LedgerReader, relations: Sequence[Relation], now: datetime) -> Snapshot:
    """``status`` and ``versions`` of the same moment."""
    return Snapshot(status=status(tx, relations, now), versions=versions(tx))


def status(tx: LedgerReader, relations: Sequence[Relation], now: datetime) -> StatusView:
    """Read the ledger and nothing else: no source is asked and no model is loaded.

    Args:
        relations: The watched ones, in the order in which they are shown.
    """
    pulled, planned = tx.newest_event("pull"), tx.plan_counts()
    model, source = probed_model(tx), str(pulled.body["source"]) if pulled else None
    watermark = tx.watermark(source) if source else None
    current, stored, dropped = current_number(tx), tx.versions(), left_out(tx)
    return StatusView(
        at=now,
        source=source,
        watermark=watermark,
        time_problem=_time_problem(tx, watermark, now),
        model=model,
        relations=tuple(_relation(tx, relation, model) for relation in relations),
        plan=_summary(*list(planned.items())[-1]) if planned else None,
        current=next((_version(tx, v, current, dropped, planned) for v in stored if v.number == current), None),
        newest=_version(tx, stored[-1], current, dropped, planned) if stored else None,
        quarantine=tuple(
            QuarantineView(subject=key.subject, property=key.property, reason=entry.reason)
            for key, entry in sorted(tx.quarantine().items())
        ),
        refusals=refusals_in_a_row(tx).in_a_row,
        decisions=tuple(
            DecidedView(subject=key.subject, property=key.property, decision=str(decided))
            for key, decided in sorted(tx.decisions().items())
        ),
        audit_head=tx.audit_head(),
    )


def _time_problem(tx: AuditReader, watermark: datetime | None, now: datetime) -> str | None:
    if refused := refused_time(tx):
        return f"The last pull was refused. {refused}"
    if ahead_of_time(watermark, now):
        return "The time up to which it was pulled has not come yet: `kbsync pull --accept-time` sets it right."
    pulled = tx.newest_event("pull")
    if pulled is not None and (items := pulled.body.get("impossible")):
        count = pulled.body.get("impossible_items", len(items))
        named = ", ".join(items) + (" and others" if count > len(items) else "")
        return f"It says of {count} items that they were changed at a time that has not come yet: {named}"
    return None


def versions(tx: LedgerReader) -> VersionsView:
    """All versions, from the first on."""
    current, dropped, planned = current_number(tx), left_out(tx), tx.plan_counts()
    views = tuple(_version(tx, v, current, dropped, planned) for v in tx.versions())
    return VersionsView(current=current, versions=views)


def probed_model(tx: LedgerReader) -> str | None:
    """Fingerprint of the base that was probed last, or else of the newest plan's base; None where there is neither."""
    probed = tx.newest_event("probe")
    if probed is not None:
        return str(probed.body["model"])
    newest = tx.newest_plan()
    return newest.plan.base_fingerprint if newest else None


def built_version(tx: VersionReader, number: int) -> Version:
    """A version that has weights, or had them before gc removed them.

    Raises:
        NotFound: There is none, or it is not built yet.
    """
    version = tx.version(number)
    if version is None or version.version_hash is None:
        raise NotFound(f"Version {number} is not built.", next_step="`kbsync versions` lists what there is.")
    return version


def left_out(tx: AuditReader) -> dict[int, dict[str, str]]:
    """Facts (as ``Q145 P35``) that were planned and could not be edited, each with the reason, by version number."""
    return {e.body["version"]: e.body["left_out"] for e in tx.audit(kind="edit")}


def _version(
    tx: VersionReader,
    version: Version,
    current: int,
    dropped: Mapping[int, Mapping[str, str]],
    planned: Mapping[str, PlanCounts],
) -> VersionView:
    evaluation = tx.evaluation_summary(version.number)
    return VersionView(
        number=version.number,
        state=version.state.value,
        current=version.number == current,
        facts=planned[version.plan_hash].held - len(dropped.get(version.number, {})),
        predecessor=version.predecessor,
        created_at=version.created_at,
        hash=version.version_hash,
        base=version.base_fingerprint,
        plan=version.plan_hash,
        passed=evaluation.decision.passed if evaluation else None,
        metrics=evaluation.metrics if evaluation else (),
        reasons=tuple(r.text for r in evaluation.decision.reasons) if evaluation else (),
    )


def _relation(tx: NamedFactReader, relation: Relation, model: str | None) -> RelationView:
    counts = tx.fact_counts(relation.property)
    kinds = tx.verdict_counts(relation.property, model, relation.template_hash) if model else {}
    return RelationView(
        name=relation.name,
        property=relation.property,
        facts=counts.facts,
        believed=counts.believed,
        waiting=counts.waiting,
        verdicts={kind.value: kinds.get(kind, 0) for kind in VerdictKind},
        unasked=counts.askable - sum(kinds.values()),
    )


def _summary(plan_hash: str, counts: PlanCounts) -> PlanSummary:
    return PlanSummary(
        hash=plan_hash,
        predecessor=counts.predecessor,
        add=counts.add,
        change=counts.change,
        retract=counts.retract,
        keep=counts.keep,
        refused=counts.refused,
        guards=counts.guards,
    )
