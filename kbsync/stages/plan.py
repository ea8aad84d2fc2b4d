"""plan: from verdicts to an edit plan that people can print, compare and approve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kbsync.domain.canonical import content_hash
from kbsync.domain.conflicts import RightFact
from kbsync.domain.decision import DecisionKind
from kbsync.domain.errors import KbsyncError
from kbsync.domain.fact import Fact, FactKey
from kbsync.domain.phrasing import FramedPhrasing, Use
from kbsync.domain.plan import EditPlan, EditRequest, FactNames, Guard, capacity_warning, choose_guards, make_plan
from kbsync.domain.recipe import Recipe
from kbsync.domain.reframing import reframed
from kbsync.domain.relation import Relation
from kbsync.domain.suspicion import Suspicion, suspects
from kbsync.domain.verdict import Verdict, VerdictKind
from kbsync.domain.version import CURRENT
from kbsync.ports import Quarantined, VersionReader
from kbsync.stages.facts import BelievedFacts, WatchedFact
from kbsync.stages.session import Run

NO_STATEMENT = "no statement holds now"
"""Why an active fact that is watched has no believed answer any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanResult:
    """The plan of the next version."""

    plan_hash: str
    plan: EditPlan
    already: bool
    """The same plan was recorded before, or it has no changes and so is not recorded at all."""
    warning: str = ""
    """The version comes near the recipe's capacity, or goes beyond it; empty where there is room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanPolicy:
    """Which facts are edited."""

    kinds: frozenset[VerdictKind]
    """Facts with such a verdict on the base."""
    limit: int | None = None
    """Largest number of facts in one version (None: any number)."""
    suspicion: Suspicion | None = None
    """Which facts a person should look at first (None: none)."""


def plan(run: Run, facts: BelievedFacts, recipe: Recipe, policy: PlanPolicy) -> PlanResult:
    """Compare the facts that have to be edited with what ``current`` holds, and record the plan if something changes.

    Args:
        facts: All believed facts with their verdicts on the base.

    Raises:
        KbsyncError: Facts have no verdict yet.
    """
    if facts.unjudged:
        raise KbsyncError(
            f"{len(facts.unjudged)} facts have no verdict on this base yet.",
            kept="No plan was made.",
            next_step="Run `kbsync probe` first (`kbsync sync` does both).",
        )
    edit_plan = _make_plan(run, facts, recipe, policy)
    warning = capacity_warning(len(edit_plan.requests), recipe.capacity)
    if not edit_plan.changes:
        return PlanResult(plan_hash=content_hash(edit_plan), plan=edit_plan, already=True, warning=warning)
    now = run.clock.now()
    with run.ledger.write() as tx:
        recorded = tx.record_plan(edit_plan, now)
        if recorded.is_new:
            changes = [{"fact": str(e.key), "change": e.change, "reason": e.reason} for e in edit_plan.changes]
            refused = {str(r.key): r.reason for r in edit_plan.refused}
            body = {"plan": recorded.plan_hash, "build": edit_plan.build_hash, "changes": changes, "refused": refused}
            body |= {"warning": warning} if warning else {}
            tx.append_audit("plan", run.actor, body, now)
    return PlanResult(plan_hash=recorded.plan_hash, plan=edit_plan, already=not recorded.is_new, warning=warning)


def _make_plan(run: Run, facts: BelievedFacts, recipe: Recipe, policy: PlanPolicy) -> EditPlan:
    wanted = [
        _request(relation, fact, facts.verdicts[key], recipe)
        for key, (relation, fact) in facts.watched.items()
        if facts.verdicts[key].kind in policy.kinds
    ]
    with run.ledger.read() as tx:
        alias = tx.alias(CURRENT)
        predecessor = alias.number if alias else 0
        quarantine = tx.quarantine()
        active = _active(tx, predecessor, quarantine)
        excluded = {key: str(d) for key, d in tx.decisions().items() if d.kind is DecisionKind.EXCLUDE}
        ended = {key: NO_STATEMENT for key in active if key not in facts.watched and tx.fact(key) is not None}
    return make_plan(
        wanted,
        active,
        base_fingerprint=facts.base_fingerprint,
        recipe_fingerprint=recipe.fingerprint,
        predecessor=predecessor,
        quarantined=_still_quarantined(quarantine, facts),
        excluded=excluded,
        gone=_not_wanted(facts, policy) | ended,
        guards=choose_guards(_possible_guards(facts, policy, recipe), recipe.guard_count),
        limit=policy.limit,
        suspect=_suspect(wanted, active, facts, policy),
        names={key: _names(fact) for key, (_, fact) in facts.watched.items()},
        right=_right_facts(facts, policy, recipe),
    )


def _names(fact: Fact) -> FactNames:
    subject = ((fact.subject_label,) if fact.subject_label else ()) + fact.subject_aliases
    return FactNames(subject, tuple(name for answer in fact.answers for name in answer.names))


def _right_facts(facts: BelievedFacts, policy: PlanPolicy, recipe: Recipe) -> list[RightFact]:
    """What no edit may be written over: facts that the base has right."""
    return [
        RightFact(
            key=key,
            subject=fact.subject_label or "",
            templates=(relation.prompt_template, *(p.template for p in _further(relation, recipe))),
            names=_names(fact).answers,
        )
        for key, (relation, fact) in _known_facts(facts, policy)
    ]


def _not_wanted(facts: BelievedFacts, policy: PlanPolicy) -> dict[FactKey, str]:
    """Why believed facts are not edited: their verdict, with its reason or the base's answer."""
    return {
        key: f"verdict {verdict.kind}: {verdict.evidence.reason or _typical_answer(verdict)}"
        for key, verdict in facts.verdicts.items()
        if verdict.kind not in policy.kinds
    }


def _typical_answer(verdict: Verdict) -> str:
    """The first answer of the verdict's own kind; where there is none, that after the prompt."""
    answers = (reply.greedy for reply in verdict.evidence.replies if reply.kind is verdict.kind)
    return next(answers, verdict.evidence.greedy).strip()


def _known_facts(facts: BelievedFacts, policy: PlanPolicy) -> list[tuple[FactKey, WatchedFact]]:
    """Facts that the base has right and that are not edited."""
    if VerdictKind.CURRENT in policy.kinds:
        return []
    return [(k, watched) for k, watched in facts.watched.items() if facts.verdicts[k].kind is VerdictKind.CURRENT]


def _possible_guards(facts: BelievedFacts, policy: PlanPolicy, recipe: Recipe) -> list[Guard]:
    return [
        Guard(
            key=key,
            subject=fact.subject_label or "",
            template=relation.prompt_template,
            phrasings=tuple(p.template for p in _further(relation, recipe)),
            practised=tuple(p.template for p in _practised(relation, fact, recipe)),
        )
        for key, (relation, fact) in _known_facts(facts, policy)
    ]


def _suspect(
    wanted: Sequence[EditRequest],
    active: Mapping[FactKey, EditRequest],
    facts: BelievedFacts,
    policy: PlanPolicy,
) -> dict[FactKey, str]:
    """Why a person should look at facts that ``current`` does not hold with this value."""
    if policy.suspicion is None:
        return {}
    held = {(key, request.value_hash) for key, request in active.items()}
    new = [request for request in wanted if (request.key, request.value_hash) not in held]
    logprobs = {
        request.key: logprob
        for request in wanted
        if (logprob := facts.verdicts[request.key].evidence.logprob_answer) is not None
    }
    return suspects(new, logprobs, policy.suspicion)


def _further(relation: Relation, recipe: Recipe) -> tuple[FramedPhrasing, ...]:
    """The phrasings that are written beside the prompt: none, or all that the relation has for edits."""
    return relation.written[1:] if recipe.phrasings == "all" else ()


def _practised(relation: Relation, fact: Fact, recipe: Recipe) -> tuple[FramedPhrasing, ...]:
    """The phrasings in further frames, if the recipe's refinement practises them."""
    if not (recipe.refine_frames and recipe.refine_epochs):
        return ()
    return reframed(relation.of(Use.EDIT), relation.frames, relation.language, fact.subject_label or "")


def _request(relation: Relation, fact: Fact, verdict: Verdict, recipe: Recipe) -> EditRequest:
    answer = fact.answers[0]
    return EditRequest(
        key=fact.key,
        subject=fact.subject_label or "",
        template=relation.prompt_template,
        target=answer.label or "",
        end=relation.written[0].end if recipe.phrasings == "all" else "",
        phrasings=_further(relation, recipe),
        practised=_practised(relation, fact, recipe),
        value_hash=fact.value_hash,
        revision=fact.state.revision,
        statement_ids=fact.state.statement_ids,
        base_answer=verdict.evidence.greedy,
    )


def _active(tx: VersionReader, number: int, quarantine: Mapping[FactKey, Quarantined]) -> dict[FactKey, EditRequest]:
    """The facts that version ``number`` holds (0, the base: none): its plan's, without those that its edit left out."""
    version = tx.version(number) if number else None
    edit_plan = tx.plan(version.plan_hash) if version else None
    left_out = {(key, entry.value_hash) for key, entry in quarantine.items()}
    return {r.key: r for r in edit_plan.requests if (r.key, r.value_hash) not in left_out} if edit_plan else {}


def _still_quarantined(quarantine: Mapping[FactKey, Quarantined], facts: BelievedFacts) -> dict[FactKey, str]:
    """Why facts are in quarantine; those whose value has changed since they were tried are free again."""
    values = {key: fact.value_hash for key, (_, fact) in facts.watched.items()}
    return {key: entry.reason for key, entry in quarantine.items() if values.get(key) == entry.value_hash}
