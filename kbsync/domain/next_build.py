"""What a cycle does next with its plan, and why (a pure function)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from kbsync.domain.gate import GateDecision, Threshold, short_of_samples
from kbsync.domain.plan import EditPlan, EditRequest
from kbsync.domain.version import Evaluation, Version, VersionState

MAX_DOUBLINGS = 6
"""Number of doublings after which the wait after refusals stops growing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusals:
    """Builds that were refused one after the other, since something was promoted or a person freed a fact."""

    in_a_row: int
    newest_at: datetime | None = None

    def next_build_at(self, pause: timedelta) -> datetime | None:
        """When the next build may begin; None where nothing has to wait.

        Args:
            pause: The wait after two refusals; it doubles with each further one. A single refusal waits for nothing.
        """
        if self.newest_at is None or self.in_a_row < 2 or not pause:
            return None
        return self.newest_at + pause * (1 << min(self.in_a_row - 2, MAX_DOUBLINGS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Nothing:
    """``current`` holds what the plan holds already."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BackToBase:
    """No fact is left to write, so ``current`` goes back to the unedited base."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejudge:
    """``version`` was refused by a gate policy that has changed since; its figures are judged by the new one first."""

    version: Version
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Nothing is built, although facts wait."""

    reason: str
    version: Version | None = None
    """The version that holds these facts and may not be promoted; None where the next build has to wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """The planned version is built (if it is not yet), measured, and promoted if the gate lets it."""

    reason: str


NextStep = Nothing | BackToBase | Rejudge | Held | Build


def decide(
    plan: EditPlan,
    known: Version | None,
    evaluation: Evaluation | None,
    refusals: Refusals,
    *,
    policy: Sequence[Threshold],
    pause: timedelta,
    now: datetime,
) -> NextStep:
    """Choose the next step of a cycle.

    Args:
        plan: What the next version is to hold.
        known: The version that was built, or intended, for these very facts before; None where there is none.
        evaluation: The newest evaluation of ``known``; its outcomes are not looked at.
        refusals: How many builds were refused lately.
        policy: The gate's thresholds as they are now.
        pause: The wait after two refusals in a row.

    Returns:
        The step, with a reason that people can read. After ``Rejudge`` is done, ask again.
    """
    if not plan.changes:
        return Nothing(reason="current holds what the plan holds")
    if not plan.requests:
        return BackToBase(reason="no fact is left to write")
    if known is not None and known.state is VersionState.REFUSED and evaluation and evaluation.policy_changed(policy):
        reason = f"version {known.number} holds these facts and was refused by a policy that has changed"
        return Rejudge(version=known, reason=reason)
    if known is not None and known.state in (VersionState.REFUSED, VersionState.ROLLED_BACK):
        return Held(version=known, reason=f"version {known.number} holds these facts and was {known.state}")
    if known is not None and known.state is VersionState.CANDIDATE:
        return Build(reason=f"version {known.number} holds these facts and is built")
    until = refusals.next_build_at(pause)
    if until is not None and now < until:
        waits = f"the next build waits until {until:%Y-%m-%d %H:%M} UTC"
        return Held(reason=f"{refusals.in_a_row} refusals in a row; {waits}")
    return Build(reason=f"{len(plan.changes)} facts differ from what current holds")


def may_blame_facts(plan: EditPlan, evaluation: Evaluation, policy: Sequence[Threshold]) -> bool:
    """Whether a search for the facts that got the version refused makes sense.

    Not for a single fact, which has no half to try; nor where the gate refused since too little was asked, for of facts
    that are left out nothing more can be asked; nor where all that was refused comes from the recipe.
    """
    if len(plan.requests) < 2 or short_of_samples(evaluation.metrics, policy):
        return False
    refused = {reason.metric for reason in evaluation.decision.refusals}
    return refused != {PARAPHRASED} or not advice(plan.requests, evaluation.decision)


PARAPHRASED = "generalization"
"""The metric of edited facts in phrasings that no edit has seen."""


def advice(requests: Sequence[EditRequest], decision: GateDecision) -> str:
    """What to change in the recipe after a refusal; empty where the recipe is not known to be the cause.

    Facts that are written in a single phrasing are answered in few others, whichever facts they are.
    """
    refused = any(reason.metric == PARAPHRASED for reason in decision.refusals)
    if not refused or not requests or any(request.phrasings for request in requests):
        return ""
    return (
        f'each fact was written in one phrasing only, which {PARAPHRASED} suffers from: set phrasings = "all" in the '
        f"recipe and give the relations several edit phrasings, or lower the bound on {PARAPHRASED} in gate.toml"
    )
