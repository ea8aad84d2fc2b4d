"""probe: ask the base what it believes about every fact that is due for a look.

A verdict is keyed by fact value, model fingerprint and template hash, so nothing is ever asked twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from kbsync.domain.fact import Fact
from kbsync.domain.relation import Cardinality, Relation
from kbsync.domain.verdict import Evidence, Verdict, VerdictKey, VerdictKind, ambiguity, judge
from kbsync.ports import BaseModel, LanguageModel
from kbsync.stages.facts import BelievedFacts, WatchedFact
from kbsync.stages.session import Run

CHUNK = 64
"""Facts a transaction: what a kill may cost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """``asked`` facts were due; ``verdicts`` counts all believed facts by kind."""

    asked: int
    verdicts: dict[VerdictKind, int]


def probe(
    run: Run, base: BaseModel, facts: BelievedFacts, relations: Sequence[Relation], *, answer_tokens: int
) -> ProbeResult:
    """Judge those of ``facts`` that have no verdict by the base's greedy continuation of at most ``answer_tokens``
    tokens; all facts of ``relations`` are counted."""
    waiting = facts.unjudged
    if waiting:
        model = base.language_model()
        run.work.start("probe", len(waiting))
        for start in range(0, len(waiting), CHUNK):
            chunk = waiting[start : start + CHUNK]
            verdicts = _judge(model, base.fingerprint, chunk, answer_tokens)
            with run.ledger.write() as tx:
                tx.record_verdicts(verdicts, run.clock.now())
            run.work.advance(len(chunk))
        run.work.finish()
    with run.ledger.write() as tx:
        counts: Counter[VerdictKind] = Counter()
        for relation in relations:
            counts.update(tx.verdict_counts(relation.property, base.fingerprint, relation.template_hash))
        if waiting:
            body = {"model": base.fingerprint, "asked": len(waiting), "verdicts": dict(counts)}
            tx.append_audit("probe", run.actor, body, run.clock.now())
    return ProbeResult(asked=len(waiting), verdicts={kind: counts[kind] for kind in VerdictKind})


def _judge(model: LanguageModel, fingerprint: str, chunk: Sequence[WatchedFact], answer_tokens: int) -> list[Verdict]:
    verdicts, asked = [], []
    for relation, fact in chunk:
        reason = ambiguity(fact, single=relation.cardinality is not Cardinality.SET)
        if reason:
            evidence = Evidence(prompt="", greedy="", reason=reason)
            key = VerdictKey.of(relation, fact, fingerprint)
            verdicts.append(Verdict(key=key, kind=VerdictKind.AMBIGUOUS, evidence=evidence))
        else:
            asked.append((relation, fact, relation.prompt(fact.subject_label or "")))
    greedy = model.complete([prompt for _, _, prompt in asked], max_new_tokens=answer_tokens)
    scores = _scores(model, [(fact, prompt) for _, fact, prompt in asked])
    for (relation, fact, prompt), said, (answer, former) in zip(asked, greedy, scores, strict=True):
        kind, matched = judge(fact, said)
        evidence = Evidence(prompt=prompt, greedy=said, matched=matched, logprob_answer=answer, logprob_former=former)
        verdicts.append(Verdict(key=VerdictKey.of(relation, fact, fingerprint), kind=kind, evidence=evidence))
    return verdicts


def _scores(model: LanguageModel, asked: Sequence[tuple[Fact, str]]) -> list[tuple[float, float | None]]:
    """Log-probability of the first right answer, and of the likeliest former one."""
    names = [[fact.answers[0].label or "", *(f.label for f in fact.former if f.label)] for fact, _ in asked]
    pairs = [(prompt, name) for (_, prompt), own in zip(asked, names, strict=True) for name in own]
    scores = iter(model.scores(pairs))
    logprobs: list[tuple[float, float | None]] = []
    for own in names:
        right, *former = [next(scores).logprob for _ in own]
        logprobs.append((right, max(former, default=None)))
    return logprobs
