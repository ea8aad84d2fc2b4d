"""What command line and status page show: frozen values, made from one read of the ledger.

:func:`kbsync.domain.canonical.plain` turns each into JSON data; the names of the fields are a contract.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from kbsync.domain.gate import Metric
from kbsync.domain.plan import Change
from kbsync.domain.relation import Relation
from kbsync.domain.verdict import VerdictKind
from kbsync.domain.version import Version
from kbsync.ports import LedgerReader, StoredPlan
from kbsync.stages.release.promote import current_number
from kbsync.stages.release.refusals import rest


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionView:
    """One version. ``facts`` it holds; ``passed`` and ``reasons`` are the gate's (null and empty while not
    evaluated); ``predecessor`` is the version that was current when it was planned (0: the base)."""

    number: int
    state: str
    current: bool
    facts: int
    predecessor: int
    created_at: datetime
    hash: str | None
    base: str
    plan: str
    passed: bool | None
    metrics: tuple[Metric, ...]
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionsView:
    """All versions by number. ``current`` is the number in use (0: the base)."""

    current: int
    versions: tuple[VersionView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RelationView:
    """One watched relation. ``waiting`` facts are observed and not yet believed; ``verdicts`` counts the believed
    facts that have an answer, by verdict on the newest probed model; ``unasked`` have none yet."""

    name: str
    property: str
    facts: int
    believed: int
    waiting: int
    verdicts: dict[str, int]
    unasked: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSummary:
    """A recorded plan: how many facts it adds, changes, retracts and keeps, how many it refused, and how many
    that the base has right it guards."""

    hash: str
    predecessor: int
    add: int
    change: int
    retract: int
    keep: int
    refused: int
    guards: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineView:
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
    """Where everything stands at ``at``. ``watermark`` is the time up to which ``source``, the one pulled last, was
    pulled (null before the first pull); ``model`` is the fingerprint of the base probed last; ``current`` is null while
    the unedited base is in use; ``refusals`` counts refused cycles since something was promoted."""

    at: datetime
    source: str | None
    watermark: datetime | None
    model: str | None
    relations: tuple[RelationView, ...]
    plan: PlanSummary | None
    current: VersionView | None
    newest: VersionView | None
    quarantine: tuple[QuarantineView, ...]
    refusals: int
    decisions: tuple[DecidedView, ...]
    audit_head: str


def status(tx: LedgerReader, relations: Sequence[Relation], now: datetime) -> StatusView:
    """From the ledger alone: no source is asked and no model loaded."""
    pulled, newest = tx.newest_event("pull"), tx.newest_plan()
    model, source = probed_model(tx), str(pulled.body["source"]) if pulled else None
    current, stored, dropped, held = current_number(tx), tx.versions(), left_out(tx), tx.request_counts()
    return StatusView(
        at=now,
        source=source,
        watermark=tx.watermark(source) if source else None,
        model=model,
        relations=tuple(_relation(tx, relation, model) for relation in relations),
        plan=_summary(newest) if newest else None,
        current=next((_version(tx, v, current, dropped, held) for v in stored if v.number == current), None),
        newest=_version(tx, stored[-1], current, dropped, held) if stored else None,
        quarantine=tuple(
            QuarantineView(subject=key.subject, property=key.property, reason=entry.reason)
            for key, entry in sorted(tx.quarantine().items())
        ),
        refusals=rest(tx, timedelta(0)).refusals,
        decisions=tuple(
            DecidedView(subject=key.subject, property=key.property, decision=str(decided))
            for key, decided in sorted(tx.decisions().items())
        ),
        audit_head=tx.audit_head(),
    )


def versions(tx: LedgerReader) -> VersionsView:
    """All of them, from the first on."""
    current, dropped, held = current_number(tx), left_out(tx), tx.request_counts()
    views = tuple(_version(tx, v, current, dropped, held) for v in tx.versions())
    return VersionsView(current=current, versions=views)


def probed_model(tx: LedgerReader) -> str | None:
    """Fingerprint of the base that was probed last, or else planned for; None before the first time."""
    probed = tx.newest_event("probe")
    if probed is not None:
        return str(probed.body["model"])
    newest = tx.newest_plan()
    return newest.plan.base_fingerprint if newest else None


def left_out(tx: LedgerReader) -> dict[int, dict[str, str]]:
    """Facts (as ``Q145 P35``) that a plan held and that could not be edited, with the reason, by version."""
    return {e.body["version"]: e.body["left_out"] for e in tx.audit(kind="edit")}


def _version(
    tx: LedgerReader,
    version: Version,
    current: int,
    dropped: Mapping[int, Mapping[str, str]],
    held: Mapping[str, int],
) -> VersionView:
    evaluation = tx.evaluation_summary(version.number)
    return VersionView(
        number=version.number,
        state=version.state.value,
        current=version.number == current,
        facts=held.get(version.plan_hash, 0) - len(dropped.get(version.number, {})),
        predecessor=version.predecessor,
        created_at=version.created_at,
        hash=version.version_hash,
        base=version.base_fingerprint,
        plan=version.plan_hash,
        passed=evaluation.decision.passed if evaluation else None,
        metrics=evaluation.metrics if evaluation else (),
        reasons=tuple(r.text for r in evaluation.decision.reasons) if evaluation else (),
    )


def _relation(tx: LedgerReader, relation: Relation, model: str | None) -> RelationView:
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


def _summary(stored: StoredPlan) -> PlanSummary:
    plan = stored.plan
    counts = Counter(entry.change for entry in plan.entries)
    return PlanSummary(
        hash=stored.plan_hash,
        predecessor=plan.predecessor,
        add=counts[Change.ADD],
        change=counts[Change.CHANGE],
        retract=counts[Change.RETRACT],
        keep=counts[Change.KEEP],
        refused=len(plan.refused),
        guards=len(plan.guards),
    )
