"""plan: from verdicts to an edit plan that people can print, compare and approve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from kbsync.domain.canonical import content_hash
from kbsync.domain.capacity import capacity_warning
from kbsync.domain.conflicts import RightFact
from kbsync.domain.consequence import with_consequences
from kbsync.domain.decision import DecisionKind
from kbsync.domain.errors import KbsyncError
from kbsync.domain.fact import Fact, FactKey
from kbsync.domain.phrasing import FramedPhrasing, Use
from kbsync.domain.plan import EditPlan, EditRequest, FactNames, Guard, kept, make_plan
from kbsync.domain.recipe import Recipe
from kbsync.domain.reframing import reframed
from kbsync.domain.relation import Relation
from kbsync.domain.suspicion import Suspicion, suspects
from kbsync.domain.verdict import VerdictKind
from kbsync.domain.version import CURRENT
from kbsync.ports import Quarantined, StoredPlan, VersionReader
from kbsync.stages.consequences import Consequence, Found, consequences
from kbsync.stages.judged import JudgedFact, JudgedFacts
from kbsync.stages.session import Run
from kbsync.stages.survey import Survey, survey
from kbsync.system.memory import without_cycle_search

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
    consequences: bool = False
    """Whether what follows from edited facts is written beside them, as far as their relations imply it."""


def plan(run: Run, facts: JudgedFacts, recipe: Recipe, policy: PlanPolicy) -> PlanResult:
    """Compare the facts that have to be edited with what ``current`` holds, and record the plan if something changes.

    Args:
        facts: All believed facts with their verdicts on the base.

    Raises:
        KbsyncError: Facts have no verdict yet.
    """
    with without_cycle_search():
        return _recorded(run, draft(run, facts, recipe, policy), recipe)


def _recorded(run: Run, edit_plan: EditPlan, recipe: Recipe) -> PlanResult:
    """Record the plan, if it changes something."""
    warning = capacity_warning(len(edit_plan.requests), recipe.capacity)
    if not edit_plan.changes:
        return PlanResult(plan_hash=content_hash(edit_plan), plan=edit_plan, already=True, warning=warning)
    now = run.clock.now()
    with run.ledger.write() as tx:
        before = tx.newest_plan()
        recorded = tx.record_plan(edit_plan, now)
        if recorded.is_new:
            body = {"plan": recorded.plan_hash, "build": edit_plan.build_hash} | plan_news(edit_plan, before)
            body |= {"warning": warning} if warning else {}
            tx.append_audit("plan", run.actor, body, now)
    return PlanResult(plan_hash=recorded.plan_hash, plan=edit_plan, already=not recorded.is_new, warning=warning)


def draft(run: Run, facts: JudgedFacts, recipe: Recipe, policy: PlanPolicy) -> EditPlan:
    """The plan of ``plan``, recorded nowhere; raises as ``plan`` does."""
    with run.ledger.read() as tx:
        alias, quarantine = tx.alias(CURRENT), tx.quarantine()
        predecessor = alias.number if alias else 0
        held = _active(tx, predecessor, quarantine)
        active = {key: request for key, request in held.items() if not request.follows_from}
        excluded = {key: str(d) for key, d in tx.decisions().items() if d.kind is DecisionKind.EXCLUDE}
        found = survey(facts, policy.kinds, active, quarantine, recipe.guard_count)
        ended = {key: NO_STATEMENT for key in active if key not in found.values and tx.fact(key) is not None}
    if found.unjudged:
        raise KbsyncError(
            f"{found.unjudged} facts have no verdict on this base yet.",
            kept="No plan was made.",
            next_step="Run `kbsync probe` first (`kbsync sync` does both).",
        )
    # Those whose value has changed since they were tried are free again.
    quarantined = {key: e.reason for key, e in quarantine.items() if found.values.get(key) == e.value_hash}
    suspect = _suspect(found, policy)
    wanted = {fact.key for fact in found.wanted}
    # Of several reasons the last one is said, as in the plan itself.
    against = {key: f"quarantined: {reason}" for key, reason in quarantined.items()} | suspect | excluded
    certain = {key: reason for key, reason in against.items() if key in wanted}
    needed = found.needed(active, certain, policy.limit)
    whole = facts.some({*needed.keys, *found.guards})
    planned = make_plan(
        [request_of(whole[key], recipe) for key in whole if key in needed.keys and key in wanted],
        active,
        base_fingerprint=facts.base_fingerprint,
        recipe_fingerprint=recipe.fingerprint,
        predecessor=predecessor,
        quarantined=quarantined,
        excluded=excluded,
        gone=found.gone | ended,
        guards=[guard_of(whole[key], recipe) for key in found.guards],
        limit=policy.limit,
        suspect=suspect,
        names={key: _names(judged.fact) for key, judged in whole.items()},
        right=[
            _right_fact(judged, recipe)
            for key, judged in whole.items()
            if key in found.shared and _is_right(judged, policy)
        ],
        further={key: reason for key, reason in certain.items() if key not in needed.keys},
        behind=needed.behind,
    )
    causes = {r.key: whole[r.key] for r in planned.requests} if policy.consequences else {}
    followed = consequences(causes, facts, against)
    held = {key: request for key, request in held.items() if request.follows_from}
    return _with_consequences(planned, followed, held, quarantine, recipe, policy)


def _with_consequences(
    planned: EditPlan,
    found: Found,
    held: Mapping[FactKey, EditRequest],
    quarantine: Mapping[FactKey, Quarantined],
    recipe: Recipe,
    policy: PlanPolicy,
) -> EditPlan:
    """The plan with what follows from its facts, as far as there is room in the policy and in what the recipe holds."""
    requests = [_consequence_of(one, held.get(key), recipe) for key, one in found.following.items()]
    rooms = [room for room in (policy.limit, recipe.capacity) if room]
    off = "" if policy.consequences else "consequences are turned off (edit.consequences)"
    return with_consequences(
        planned,
        requests,
        held,
        quarantined={
            r.key: quarantine[r.key].reason
            for r in requests
            if r.key in quarantine and quarantine[r.key].value_hash == r.value_hash
        },
        gone=dict.fromkeys(held, off) if off else found.why_not,
        limit=min(rooms, default=None),
    )


def _consequence_of(found: Consequence, held: EditRequest | None, recipe: Recipe) -> EditRequest:
    """What the recipe writes of a consequence; what is held, if nothing has to be edited anew."""
    request = replace(request_of(found.judged, recipe), follows_from=found.follows_from)
    return kept(request, held, _names(found.judged.fact)) if _same_causes(held, request) else request


def _same_causes(held: EditRequest | None, request: EditRequest) -> bool:
    return held is not None and held.follows_from == request.follows_from


def plan_news(plan: EditPlan, before: StoredPlan | None) -> dict[str, Any]:
    """What the audit trail says of a plan: its changes and refusals, as far as the plan before did not have them.

    Otherwise a fact that is refused for a year would be in the trail with every plan of that year.
    """
    old = before.plan if before and before.plan.predecessor == plan.predecessor else None
    said = {(e.key, e.change, e.request.id if e.request else None) for e in old.changes} if old else set()
    changes = [
        {"fact": str(e.key), "change": e.change, "reason": e.reason}
        for e in plan.changes
        if (e.key, e.change, e.request.id if e.request else None) not in said
    ]
    was = {r.key: r.reason for r in old.refused} if old else {}
    refused = {str(r.key): r.reason for r in plan.refused if was.get(r.key) != r.reason}
    news: dict[str, Any] = {"changes": changes, "refused": refused}
    if before is not None and old is not None:
        still = {r.key for r in plan.refused}
        freed = sorted(str(key) for key in was if key not in still)
        news |= {"after": before.plan_hash} | ({"no longer refused": freed} if freed else {})
    return news | ({"unlisted": plan.unlisted} if plan.unlisted else {})


def _names(fact: Fact) -> FactNames:
    subject = ((fact.subject_label,) if fact.subject_label else ()) + fact.subject_aliases
    return FactNames(subject, tuple(name for answer in fact.answers for name in answer.names))


def _right_fact(judged: JudgedFact, recipe: Recipe) -> RightFact:
    """What no edit may be written over."""
    relation, fact, _ = judged
    return RightFact(
        key=fact.key,
        subject=fact.subject_label or "",
        templates=(relation.prompt_template, *(p.template for p in _further(relation, recipe))),
        names=_names(fact).answers,
    )


def _is_right(judged: JudgedFact, policy: PlanPolicy) -> bool:
    """Whether the base has the fact right, and nothing is written over it."""
    kind = judged.verdict.kind if judged.verdict else None
    return kind is VerdictKind.CURRENT and kind not in policy.kinds


def guard_of(judged: JudgedFact, recipe: Recipe) -> Guard:
    """What the recipe guards of a fact that the base has right."""
    relation, fact, _ = judged
    return Guard(
        key=fact.key,
        subject=fact.subject_label or "",
        template=relation.prompt_template,
        phrasings=tuple(p.template for p in _further(relation, recipe)),
        practised=tuple(p.template for p in _practised(relation, fact, recipe)),
    )


def _suspect(found: Survey, policy: PlanPolicy) -> dict[FactKey, str]:
    """Why a person should look at facts that ``current`` does not hold with this value."""
    if policy.suspicion is None:
        return {}
    new = [fact for fact in found.wanted if fact.is_new]
    logprobs = {fact.key: fact.logprob for fact in new if fact.logprob is not None}
    return suspects(new, logprobs, policy.suspicion)


def _further(relation: Relation, recipe: Recipe) -> tuple[FramedPhrasing, ...]:
    """The phrasings that are written beside the prompt: none, or all that the relation has for edits."""
    return relation.written[1:] if recipe.phrasings == "all" else ()


def _practised(relation: Relation, fact: Fact, recipe: Recipe) -> tuple[FramedPhrasing, ...]:
    """The phrasings in further frames, if the recipe's refinement practises them."""
    if not (recipe.refine_frames and recipe.refine_epochs):
        return ()
    return reframed(relation.of(Use.EDIT), relation.frames, relation.language, fact.subject_label or "")


def request_of(judged: JudgedFact, recipe: Recipe) -> EditRequest:
    """What the recipe writes of a fact."""
    relation, fact, verdict = judged
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
        base_answer=verdict.evidence.greedy if verdict else "",
    )


def _active(tx: VersionReader, number: int, quarantine: Mapping[FactKey, Quarantined]) -> dict[FactKey, EditRequest]:
    """The facts that version ``number`` holds (0, the base: none): its plan's, without those that its edit left out."""
    version = tx.version(number) if number else None
    edit_plan = tx.plan(version.plan_hash) if version else None
    left_out = {(key, entry.value_hash) for key, entry in quarantine.items()}
    return {r.key: r for r in edit_plan.requests if (r.key, r.value_hash) not in left_out} if edit_plan else {}
