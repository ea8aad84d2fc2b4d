"""plan: from verdicts to an edit plan that one can print, diff and approve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kbsync.domain.canonical import content_hash
from kbsync.domain.decision import DecisionKind
from kbsync.domain.errors import KbsyncError
from kbsync.domain.fact import Fact, FactKey
from kbsync.domain.plan import EditPlan, EditRequest, Guard, capacity_warning, choose_guards, make_plan
from kbsync.domain.recipe import Recipe
from kbsync.domain.relation import Relation
from kbsync.domain.suspicion import Suspicion, suspects
from kbsync.domain.verdict import Verdict, VerdictKind
from kbsync.domain.version import CURRENT
from kbsync.ports import LedgerReader
from kbsync.stages.facts import BelievedFacts
from kbsync.stages.session import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanResult:
    """``already``: the same plan was recorded before, or it has no changes and so is not recorded at all. ``warning``:
    the version comes near the recipe's capacity, or beyond it (empty: there is room)."""

    plan_hash: str
    plan: EditPlan
    already: bool
    warning: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanPolicy:
    """Which facts are edited."""

    kinds: frozenset[VerdictKind]
    """Facts with such a verdict on the base."""
    limit: int | None = None
    """At most so many facts in one version (None: any number)."""
    suspicion: Suspicion | None = None
    """Which facts a person should look at first (None: none)."""


def plan(run: Run, facts: BelievedFacts, recipe: Recipe, policy: PlanPolicy) -> PlanResult:
    """Compare what the policy wants edited with what ``current`` holds, and record the plan where something changes.

    Raises:
        KbsyncError: Facts wait for a verdict.
    """
    if facts.unjudged:
        raise KbsyncError(
            f"{len(facts.unjudged)} facts have no verdict on this base yet.",
            kept="No plan was made.",
            next_step="Run `kbsync probe` first (`kbsync sync` does both).",
        )
    with run.ledger.read() as tx:
        made = _make(tx, facts, recipe, policy)
    warning = capacity_warning(len(made.requests), recipe.capacity)
    if not made.changes:
        return PlanResult(plan_hash=content_hash(made), plan=made, already=True, warning=warning)
    now = run.clock.now()
    with run.ledger.write() as tx:
        recorded = tx.record_plan(made, now)
        if recorded.is_new:
            changes = [{"fact": str(e.key), "change": e.change, "reason": e.reason} for e in made.changes]
            refused = {str(r.key): r.reason for r in made.refused}
            body = {"plan": recorded.plan_hash, "build": made.build_hash, "changes": changes, "refused": refused}
            body |= {"warning": warning} if warning else {}
            tx.append_audit("plan", run.actor, body, now)
    return PlanResult(plan_hash=recorded.plan_hash, plan=made, already=not recorded.is_new, warning=warning)


def _make(tx: LedgerReader, facts: BelievedFacts, recipe: Recipe, policy: PlanPolicy) -> EditPlan:
    wanted, right, sound, costs = [], {}, [], {}
    for key, (relation, fact) in facts.watched.items():
        verdict = facts.verdicts[key]
        if verdict.kind in policy.kinds:
            wanted.append(_request(relation, fact, verdict))
            if verdict.evidence.logprob_answer is not None:
                costs[key] = verdict.evidence.logprob_answer
        else:
            if verdict.kind is VerdictKind.CURRENT:
                sound.append(Guard(key=key, subject=fact.subject_label or "", template=relation.templates[0]))
            right[key] = f"verdict {verdict.kind}: {verdict.evidence.reason or verdict.evidence.greedy.strip()}"
    alias = tx.alias(CURRENT)
    predecessor = alias.number if alias else 0
    active = _active(tx, predecessor)
    held = {(key, request.value_hash) for key, request in active.items()}
    new = [r for r in wanted if (r.key, r.value_hash) not in held]
    return make_plan(
        wanted,
        active,
        base_fingerprint=facts.base_fingerprint,
        recipe_fingerprint=recipe.fingerprint,
        predecessor=predecessor,
        quarantined=_quarantined(tx, facts),
        excluded={key: str(d) for key, d in tx.decisions().items() if d.kind is DecisionKind.EXCLUDE},
        gone=right | _ended(tx, active, facts),
        guards=choose_guards(sound, recipe.guard_count),
        limit=policy.limit,
        suspect=suspects(new, costs, policy.suspicion) if policy.suspicion else None,
    )


def _request(relation: Relation, fact: Fact, verdict: Verdict) -> EditRequest:
    answer = fact.answers[0]
    return EditRequest(
        key=fact.key,
        subject=fact.subject_label or "",
        template=relation.templates[0],
        target=answer.label or "",
        value_hash=fact.value_hash,
        revision=fact.state.revision,
        statement_ids=fact.state.statement_ids,
        base_answer=verdict.evidence.greedy,
    )


def _active(tx: LedgerReader, number: int) -> dict[FactKey, EditRequest]:
    """What version ``number`` holds (nothing, for the base): its plan, less what its edit had to leave out."""
    version = tx.version(number) if number else None
    recorded = tx.plan(version.plan_hash) if version else None
    left_out = {(key, entry.value_hash) for key, entry in tx.quarantine().items()}
    return {r.key: r for r in recorded.requests if (r.key, r.value_hash) not in left_out} if recorded else {}


def _quarantined(tx: LedgerReader, facts: BelievedFacts) -> dict[FactKey, str]:
    """Quarantined facts whose value is still the one that was tried."""
    values = {key: fact.value_hash for key, (_, fact) in facts.watched.items()}
    return {key: entry.reason for key, entry in tx.quarantine().items() if values.get(key) == entry.value_hash}


def _ended(tx: LedgerReader, active: Mapping[FactKey, EditRequest], facts: BelievedFacts) -> dict[FactKey, str]:
    """Why active facts have no believed answer any more."""
    return {key: "no statement holds now" for key in active if key not in facts.watched and tx.fact(key) is not None}
