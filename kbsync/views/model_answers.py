"""What the base and the versions answer about one fact, as the ledger recorded it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kbsync.domain.fact import FactKey, FactRecord
from kbsync.domain.naming import Names
from kbsync.domain.plan import PlanEntry
from kbsync.domain.relation import Relation
from kbsync.domain.verdict import VerdictKey, VerdictKind
from kbsync.domain.version import PromptOutcome, Version
from kbsync.ports import ReleasedVersionReader, VerdictReader
from kbsync.stages.release.promote import current_number


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyView:
    """What the base answered when it was asked in one phrasing."""

    prompt: str
    answer: str
    """Its greedy answer."""
    kind: str
    """`current`, `stale` or `unknown`: what this answer alone says."""
    matched: str | None
    """The name that was found in the answer."""
    reason: str
    """Why the answer was judged so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictView:
    """What the base was asked and what it answered."""

    kind: str
    """`current`, `shaky`, `stale`, `unknown` or `ambiguous`: what all answers say together."""
    prompt: str
    """What is edited."""
    answer: str
    """Its greedy answer to the prompt."""
    matched: str | None
    """The name that was found in this answer."""
    replies: tuple[ReplyView, ...]
    """The answers in all phrasings that it was asked in, the prompt's first."""
    logprob_answer: float | None
    """Natural log-probability of the right answer, summed over its tokens."""
    logprob_former: float | None
    """The same of a former answer."""
    reason: str
    """Why it was not asked; empty where it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldView:
    """The fact in one version."""

    version: int
    state: str
    current: bool
    change: str
    """What the version changed of the fact against its predecessor."""
    reason: str
    """Why."""
    target: str | None
    """The answer that was written; null where the version does not hold the fact any more."""
    before: str | None
    """The base's answer."""
    after: str | None
    """The version's answer; null while it was not evaluated."""
    right: bool | None
    left_out: str | None
    """Why the edit could not be made."""


def verdict_view(
    tx: VerdictReader, record: FactRecord, relation: Relation, names: Names, model: str | None
) -> VerdictView | None:
    """What ``model`` (a fingerprint) was asked about the believed value; None where it was not asked."""
    if record.believed is None or not record.believed.values or model is None:
        return None
    verdict = tx.verdict(VerdictKey.of(relation, names.fact(record.key, record.believed), model))
    if verdict is None:
        return None
    evidence = verdict.evidence
    return VerdictView(
        kind=VerdictKind(verdict.kind).value,
        prompt=evidence.prompt,
        answer=evidence.greedy,
        matched=evidence.matched,
        replies=tuple(
            ReplyView(prompt=r.prompt, answer=r.greedy, kind=r.kind.value, matched=r.matched, reason=r.reason)
            for r in evidence.replies
        ),
        logprob_answer=evidence.logprob_answer,
        logprob_former=evidence.logprob_former,
        reason=evidence.reason,
    )


def held_views(
    tx: ReleasedVersionReader, key: FactKey, dropped: Mapping[int, Mapping[str, str]]
) -> tuple[HeldView, ...]:
    """The fact in each version whose plan mentions it; ``dropped`` says by version why facts could not be edited."""
    current, entries, outcomes = current_number(tx), tx.plan_entries(key), tx.outcomes(key, "edited")
    views = []
    for version in tx.versions():
        entry, outcome = entries.get(version.plan_hash), outcomes.get(version.number)
        if entry is not None:
            missing = dropped.get(version.number, {}).get(str(key))
            views.append(_in_version(version, entry, outcome, missing, current=version.number == current))
    return tuple(views)


def _in_version(
    version: Version, entry: PlanEntry, outcome: PromptOutcome | None, missing: str | None, *, current: bool
) -> HeldView:
    request = entry.request
    return HeldView(
        version=version.number,
        state=version.state.value,
        current=current,
        change=entry.change.value,
        reason=entry.reason,
        target=request.target if request else None,
        before=outcome.base_answer if outcome else request.base_answer if request else None,
        after=outcome.answer if outcome else None,
        right=outcome.right if outcome else None,
        left_out=missing,
    )
