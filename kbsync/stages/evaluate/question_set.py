"""What a version is asked: edited prompts, held-out phrasings of edited and of known facts, neighbours, second hops.

Samples are drawn by hash: the same version is always asked the same, and versions that share facts share prompts, so
they can be compared prompt by prompt.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from kbsync.domain.fact import FactKey
from kbsync.domain.phrasing import Form, Use, fill
from kbsync.domain.plan import EditRequest, Guard
from kbsync.domain.statement import ItemId, ValueKind
from kbsync.domain.verdict import Verdict, VerdictKind
from kbsync.domain.version import Version
from kbsync.ports import VersionReader
from kbsync.stages.consequences import with_consequences
from kbsync.stages.evaluate.context import context_questions
from kbsync.stages.evaluate.question import (
    EDITED,
    EDITED_FORMS,
    HOP,
    KNOWN_FORMS,
    NEIGHBOUR,
    OTHER,
    SUBJECT,
    UNTOUCHED,
    EvaluationSize,
    Question,
    ask,
    names_of,
    right_names,
    rival_of,
    sample,
    spread_sample,
)
from kbsync.stages.evaluate.robustness import robustness_questions, stop_questions
from kbsync.stages.facts import BelievedFacts, WatchedFact


def questions(
    facts: BelievedFacts,
    requests: Sequence[EditRequest],
    guards: Sequence[Guard],
    size: EvaluationSize,
    first_holders: Mapping[FactKey, int],
) -> list[Question]:
    """List what a version is asked: every edited prompt, and samples of the rest.

    Args:
        facts: All believed facts with their verdicts on the base.
        requests: The facts that the version holds.
        guards: Facts that its edit guarded. They are not asked: the edit saw their prompts.
        size: How much is asked.
        first_holders: For each edited fact, the version since which it is held without a break.
    """
    stated, facts = facts, with_consequences(facts, requests)
    edited = [_edited(facts, request, first_holders.get(request.key, 0)) for request in requests]
    rephrased = [question for request in requests for question in _rephrased(facts, request)]
    known = _known(facts, requests, guards)
    known_rephrased = [question for key in known for question in _known_rephrased(key, facts.watched[key])]
    by_form: list[Question] = []
    for groups, candidates, count in (
        (EDITED_FORMS, rephrased, size.paraphrases),
        (KNOWN_FORMS, known_rephrased, size.known),
    ):
        for form in Form:
            by_form += spread_sample((q for q in candidates if q.group == groups[form]), count)
    return [
        *edited,
        *by_form,
        *_untouched(known, facts, requests, size),
        *sample(_hops(stated, requests), size.hops),
        *robustness_questions(facts, requests, size.robustness),
        *context_questions(facts, requests, size.robustness),
        *stop_questions([*edited, *rephrased], known_rephrased, size.robustness),
    ]


def first_holders(tx: VersionReader, version: Version, requests: Iterable[EditRequest]) -> dict[FactKey, int]:
    """For each fact the version since which it is held without a break.

    It is ``version`` itself where its predecessor does not hold the fact; else it is what the predecessor's evaluation
    says.
    """
    before = tx.version(version.predecessor) if version.predecessor else None
    planned = tx.plan(before.plan_hash) if before else None
    evaluation = tx.evaluation(before.number) if before else None
    held = {(r.key, r.value_hash) for r in planned.requests} if planned else set()
    since = {(o.subject, o.property): o.since for o in evaluation.outcomes if o.since} if evaluation else {}
    return {
        r.key: since.get(r.key, version.predecessor) if (r.key, r.value_hash) in held else version.number
        for r in requests
    }


def _edited(facts: BelievedFacts, request: EditRequest, since: int) -> Question:
    """The prompt that was edited."""
    _, fact = facts.watched.get(request.key, (None, None))
    rival = rival_of(request, fact)
    return Question(
        group=EDITED,
        key=request.key,
        prompt=request.prompt,
        names=right_names(request, fact),
        target=request.target if rival else "",
        rival=rival,
        base_answer=request.base_answer,
        since=since,
    )


def _rephrased(facts: BelievedFacts, request: EditRequest) -> Iterator[Question]:
    """The held-out phrasings of an edited fact, which no edit has seen. Statements are scored, too."""
    relation, fact = facts.watched.get(request.key, (None, None))
    if relation is None:
        return
    rival = rival_of(request, fact)
    for phrasing in relation.of(Use.HELD_OUT):
        prompt = ask(relation, phrasing, request.subject)
        if prompt == request.prompt:
            continue
        is_scored = bool(rival) and phrasing.form is Form.STATEMENT
        yield Question(
            group=EDITED_FORMS[phrasing.form],
            key=request.key,
            prompt=prompt,
            names=right_names(request, fact),
            target=request.target if is_scored else "",
            rival=rival if is_scored else "",
        )


def _known(facts: BelievedFacts, requests: Sequence[EditRequest], guards: Sequence[Guard]) -> dict[FactKey, Verdict]:
    """The facts that the base has right, without those that the edit wrote or guarded."""
    seen_by_edit = {r.key for r in requests} | {g.key for g in guards}
    verdicts = {key: facts.verdicts[key] for key in facts.watched if key in facts.verdicts and key not in seen_by_edit}
    return {key: verdict for key, verdict in verdicts.items() if verdict.kind is VerdictKind.CURRENT}


def _known_rephrased(key: FactKey, watched: WatchedFact) -> Iterator[Question]:
    """The held-out phrasings of a fact that the base knows."""
    relation, fact = watched
    for phrasing in relation.of(Use.HELD_OUT):
        prompt = ask(relation, phrasing, fact.subject_label or "")
        yield Question(group=KNOWN_FORMS[phrasing.form], key=key, prompt=prompt, names=names_of(fact))


def _untouched(
    known: Mapping[FactKey, Verdict], facts: BelievedFacts, requests: Sequence[EditRequest], size: EvaluationSize
) -> list[Question]:
    """Known facts on their prompts: those that share the relation or the subject of an edited one, and any others where
    these are too few to judge by."""
    properties, subjects = {r.key.property for r in requests}, {r.key.subject for r in requests}
    by_group: dict[str, list[Question]] = {group: [] for group in UNTOUCHED}
    for key, verdict in known.items():
        if not verdict.evidence.right_after_prompt:
            continue
        group = SUBJECT if key.subject in subjects else NEIGHBOUR if key.property in properties else OTHER
        evidence, names = verdict.evidence, names_of(facts.watched[key].fact)
        by_group[group].append(
            Question(group=group, key=key, prompt=evidence.prompt, names=names, base_answer=evidence.greedy)
        )
    same_subject = sample(by_group[SUBJECT], size.neighbours // 2)
    same_relation = sample(by_group[NEIGHBOUR], size.neighbours - len(same_subject))
    missing = min(size.enough, size.neighbours) - len(same_relation) - len(same_subject)
    return [*same_relation, *same_subject, *sample(by_group[OTHER], max(0, missing))]


def _hops(facts: BelievedFacts, requests: Sequence[EditRequest]) -> Iterator[Question]:
    """Facts about the new object, asked for through the edited fact: "The place of birth of the chair of X is".

    A question that the edit writes as a consequence is left out.
    """
    templates = ((r, (r.template, *(p.template for p in r.phrasings))) for r in requests if r.follows_from)
    written = {fill(template, r.subject) for r, own in templates for template in own}
    by_subject: dict[ItemId, list[WatchedFact]] = {}
    for key, watched in facts.watched.items():
        by_subject.setdefault(key.subject, []).append(watched)
    for request in requests:
        relation, fact = facts.watched.get(request.key, (None, None))
        if relation is None or fact is None or fact.value_hash != request.value_hash or len(fact.answers) != 1:
            continue
        value = fact.answers[0].value
        about_object = by_subject.get(ItemId(value.text), []) if value.kind is ValueKind.ITEM else []
        for second, known in about_object:
            names = names_of(known)
            prompt = fill(second.prompt_template, f"the {relation.label} of {request.subject}")
            if names and prompt not in written:
                yield Question(group=HOP, key=request.key, prompt=prompt, names=names)
