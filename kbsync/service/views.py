"""What command line and status page show: frozen values, made from one read of the ledger.

:func:`kbsync.domain.canonical.plain` turns each into JSON data; the names of the fields are a contract.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from kbsync.domain.audit import AuditEvent
from kbsync.domain.gate import Metric
from kbsync.domain.plan import Change, EditPlan
from kbsync.domain.relation import Relation
from kbsync.domain.verdict import Verdict, VerdictKey, VerdictKind
from kbsync.domain.version import Version
from kbsync.ports import LedgerReader
from kbsync.stages.facts import believed_facts
from kbsync.stages.probe import verdict_key
from kbsync.stages.refusals import until
from kbsync.stages.release import current_number


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
    events = tx.audit()
    model, source = probed_model(tx, events), _last(events, "pull", "source")
    verdicts = tx.verdicts(model) if model else {}
    newest, everything = tx.newest_plan(), versions(tx, events)
    return StatusView(
        at=now,
        source=source,
        watermark=tx.watermark(source) if source else None,
        model=model,
        relations=tuple(_relation(tx, relation, model, verdicts) for relation in relations),
        plan=_summary(*newest) if newest else None,
        current=next((v for v in everything.versions if v.current), None),
        newest=everything.versions[-1] if everything.versions else None,
        quarantine=tuple(
            QuarantineView(subject=key.subject, property=key.property, reason=reason)
            for key, (_, reason) in sorted(tx.quarantine().items())
        ),
        refusals=until(events, timedelta(0)).refusals,
        decisions=tuple(
            DecidedView(subject=key.subject, property=key.property, decision=str(decided))
            for key, decided in sorted(tx.decisions().items())
        ),
        audit_head=tx.audit_head(),
    )


def versions(tx: LedgerReader, events: Sequence[AuditEvent]) -> VersionsView:
    """``events``: the whole audit trail."""
    current, dropped = current_number(tx), left_out(events)
    return VersionsView(
        current=current,
        versions=tuple(_version(tx, v, current, len(dropped.get(v.number, {}))) for v in tx.versions()),
    )


def probed_model(tx: LedgerReader, events: Sequence[AuditEvent]) -> str | None:
    """Fingerprint of the base that was probed last, or else planned for; None before the first time."""
    newest = tx.newest_plan()
    return _last(events, "probe", "model") or (newest[1].base_fingerprint if newest else None)


def left_out(events: Sequence[AuditEvent]) -> dict[int, dict[str, str]]:
    """Facts (as ``Q145 P35``) that a plan held and that could not be edited, with the reason, by version."""
    return {e.body["version"]: e.body["left_out"] for e in events if e.kind == "edit"}


def _last(events: Sequence[AuditEvent], kind: str, field: str) -> str | None:
    """The field of the newest event of that kind."""
    return next((str(e.body[field]) for e in reversed(events) if e.kind == kind), None)


def _version(tx: LedgerReader, version: Version, current: int, dropped: int) -> VersionView:
    planned, evaluation = tx.plan(version.plan_hash), tx.evaluation(version.number)
    return VersionView(
        number=version.number,
        state=version.state.value,
        current=version.number == current,
        facts=(len(planned.requests) if planned else 0) - dropped,
        predecessor=version.predecessor,
        created_at=version.created_at,
        hash=version.version_hash,
        base=version.base_fingerprint,
        plan=version.plan_hash,
        passed=evaluation.decision.passed if evaluation else None,
        metrics=evaluation.metrics if evaluation else (),
        reasons=tuple(r.text for r in evaluation.decision.reasons) if evaluation else (),
    )


def _relation(
    tx: LedgerReader, relation: Relation, model: str | None, verdicts: Mapping[VerdictKey, Verdict]
) -> RelationView:
    records = tx.facts(relation.property)
    keys = [verdict_key(relation, fact, model or "") for _, fact in believed_facts(tx, [relation])]
    kinds = Counter(verdicts[key].kind for key in keys if key in verdicts)
    return RelationView(
        name=relation.name,
        property=relation.property,
        facts=len(records),
        believed=sum(r.believed is not None for r in records),
        waiting=sum(r.pending for r in records),
        verdicts={kind.value: kinds[kind] for kind in VerdictKind},
        unasked=len(keys) - kinds.total(),
    )


def _summary(plan_hash: str, plan: EditPlan) -> PlanSummary:
    counts = Counter(entry.change for entry in plan.entries)
    return PlanSummary(
        hash=plan_hash,
        predecessor=plan.predecessor,
        add=counts[Change.ADD],
        change=counts[Change.CHANGE],
        retract=counts[Change.RETRACT],
        keep=counts[Change.KEEP],
        refused=len(plan.refused),
        guards=len(plan.guards),
    )
