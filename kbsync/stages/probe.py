"""probe: ask the base what it believes about every fact that has no verdict yet.

A verdict rests on the replies in several phrasings. It is keyed by the fact's value, the model's fingerprint and the
hash of the templates that are asked, so nothing is asked twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from kbsync.domain.fact import Fact
from kbsync.domain.phrasing import Use, fill
from kbsync.domain.relation import Cardinality, Relation
from kbsync.domain.rewrite import control_token_in
from kbsync.domain.verdict import Evidence, Verdict, VerdictKey, VerdictKind, ambiguity, judge, summary
from kbsync.domain.wellformed import name_flaw
from kbsync.ports import UNWATCHED, BaseModel, LanguageModel, PairScore, Work
from kbsync.stages.facts import BelievedFacts, WatchedFact
from kbsync.stages.session import Run

FACTS_PER_TRANSACTION = 64
"""Largest number of verdicts that are lost when the process is killed, for each of the model's ``lanes``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """What the base believes by now."""

    asked: int
    """Facts that had no verdict and have one now."""
    verdicts: dict[VerdictKind, int]
    """The number of believed facts by kind of verdict."""


def probe(
    run: Run, base: BaseModel, facts: BelievedFacts, relations: Sequence[Relation], *, answer_tokens: int
) -> ProbeResult:
    """Judge the facts that have no verdict by the base's greedy continuations.

    Args:
        run: Whose ledger gets the verdicts.
        base: The model that is asked.
        facts: The facts, of which only those without a verdict are asked about.
        relations: The relations whose verdicts the result counts.
        answer_tokens: Largest length of answers.
    """
    unjudged = facts.unjudged
    if unjudged:
        model = base.language_model()
        run.work.start("probe", len(unjudged))
        starts = range(0, len(unjudged), FACTS_PER_TRANSACTION)
        chunks = [unjudged[start : start + FACTS_PER_TRANSACTION] for start in starts]
        for first in range(0, len(chunks), model.lanes):
            together = chunks[first : first + model.lanes]
            judged = _judge_each(model, base.fingerprint, together, answer_tokens, run.work)
            for chunk, verdicts in zip(together, judged, strict=True):
                with run.ledger.write() as tx:
                    tx.record_verdicts(verdicts, run.clock.now())
                run.work.advance(len(chunk))
        run.work.finish()
    with run.ledger.write() as tx:
        counts: Counter[VerdictKind] = Counter()
        for relation in relations:
            counts.update(tx.verdict_counts(relation.property, base.fingerprint, relation.template_hash))
        if unjudged:
            body = {"model": base.fingerprint, "asked": len(unjudged), "verdicts": dict(counts)}
            tx.append_audit("probe", run.actor, body, run.clock.now())
    return ProbeResult(asked=len(unjudged), verdicts={kind: counts[kind] for kind in VerdictKind})


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Facts that are asked about together."""

    ambiguous: list[Verdict]
    """Of those that can't be asked about."""
    asked: list[tuple[Relation, Fact, list[str]]]
    """The others, with the prompts of each."""
    names: list[list[str]]
    """For each of these, the names that are scored after its first prompt: the right one, then former ones."""

    @property
    def prompts(self) -> list[str]:
        return [prompt for _, _, own in self.asked for prompt in own]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        return [(prompts[0], name) for (_, _, prompts), own in zip(self.asked, self.names, strict=True) for name in own]


def _judge_each(
    model: LanguageModel, fingerprint: str, chunks: Sequence[Sequence[WatchedFact]], answer_tokens: int, work: Work
) -> list[list[Verdict]]:
    """Ask about all facts of each chunk in all their phrasings at once, and judge the replies."""
    unshown = work.shown_by(UNWATCHED.progress)
    prepared = [_chunk(model, fingerprint, chunk, answer_tokens) for chunk in chunks]
    answers = model.complete_each([c.prompts for c in prepared], max_new_tokens=answer_tokens, work=unshown)
    scores = model.scores_each([c.pairs for c in prepared], work=unshown)
    return [
        _judged(fingerprint, chunk, own, scored) for chunk, own, scored in zip(prepared, answers, scores, strict=True)
    ]


def _chunk(model: LanguageModel, fingerprint: str, facts: Sequence[WatchedFact], answer_tokens: int) -> _Chunk:
    ambiguous, asked = [], []
    for relation, fact in facts:
        single = relation.cardinality is not Cardinality.SET
        reason = ambiguity(fact, single=single, control_tokens=model.control_tokens)
        reason = reason or _unspelled(model, fact) or _too_long(model, relation, fact, answer_tokens)
        if reason:
            key = VerdictKey.of(relation, fact, fingerprint)
            ambiguous.append(Verdict(key=key, kind=VerdictKind.AMBIGUOUS, evidence=Evidence(reason=reason)))
        else:
            asked.append((relation, fact, [fill(template, fact.subject_label or "") for template in relation.asked]))
    return _Chunk(ambiguous, asked, [_scored_names(model, fact, own[0]) for _, fact, own in asked])


def _judged(fingerprint: str, chunk: _Chunk, answers: Sequence[str], scored: Sequence[PairScore]) -> list[Verdict]:
    verdicts, continuations, scores = list(chunk.ambiguous), iter(answers), iter(scored)
    for (relation, fact, own), names in zip(chunk.asked, chunk.names, strict=True):
        replies = tuple(judge(fact, prompt, next(continuations)) for prompt in own)
        right, *former = [next(scores).logprob for _ in names]
        evidence = Evidence(replies=replies, logprob_answer=right, logprob_former=max(former, default=None))
        kind = summary([reply.kind for reply in replies])
        verdicts.append(Verdict(key=VerdictKey.of(relation, fact, fingerprint), kind=kind, evidence=evidence))
    return verdicts


def _unspelled(model: LanguageModel, fact: Fact) -> str:
    """Which name the model has no tokens for; empty where it has them for all."""
    labels = (fact.subject_label or "", *(a.label or "" for a in fact.answers))
    return next((f"the model has no tokens for a part of {label!r}" for label in labels if not model.spells(label)), "")


def _too_long(model: LanguageModel, relation: Relation, fact: Fact, answer_tokens: int) -> str:
    """Why the fact can't be asked about because of the length of its names; empty where it can.

    Wikidata's labels have up to 250 characters, which may be 1,000 tokens, and its texts 1,500 characters.
    """
    subject, longest = fact.subject_label or "", max((a.label or "" for a in fact.answers), key=len)
    templates = [*relation.templates(Use.EDIT), *relation.templates(Use.HELD_OUT)]
    asked = [f"{fill(template, subject)} {longest}" for template in templates]
    if any(model.too_long(asked, room=answer_tokens)):
        return f"with {subject[:40]!r} and {longest[:40]!r}, a question is longer than the model's context"
    return ""


def _can_be_scored(model: LanguageModel, prompt: str, name: str) -> bool:
    token = control_token_in(name, model.control_tokens)
    fits = not model.too_long([f"{prompt} {name}"])[0]
    return not token and not name_flaw(name) and model.spells(name) and fits


def _scored_names(model: LanguageModel, fact: Fact, prompt: str) -> list[str]:
    """The fact's first right answer, then the former ones whose log-probability can be taken."""
    former = [f.label for f in fact.former if f.label and _can_be_scored(model, prompt, f.label)]
    return [fact.answers[0].label or "", *former]
