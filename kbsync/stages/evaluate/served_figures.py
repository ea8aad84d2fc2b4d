"""The gate's figures in the forms in which a version is served: ``efficacy@bfloat16``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from kbsync.domain.gate import Action, GateDecision, Metric, Reason, Threshold
from kbsync.domain.served_form import ROUNDED_FORMS
from kbsync.domain.version import Evaluation, PromptOutcome
from kbsync.stages.evaluate.question import EDITED, names_of
from kbsync.stages.evaluate.served import AS, Complete, ServedCheck, check_served, served_prompts
from kbsync.stages.facts import BelievedFacts

CARRIED = ("efficacy", "generalization", "known_kept", "specificity")
"""Figures that must hold in every form in which a version is served, if they must hold at all."""


def as_served(policy: Sequence[Threshold], forms: Iterable[str]) -> tuple[Threshold, ...]:
    """The policy with the same demands on every form in which a version is served."""
    carried = [t for t in policy if t.metric in CARRIED and t.action is Action.REFUSE]
    return (*policy, *(replace(t, metric=f"{t.metric}{AS}{form}") for form in forms for t in carried))


def served_metrics(form: str, check: ServedCheck, metrics: Sequence[Metric]) -> list[Metric]:
    """A form's figures as metrics beside those of the version itself, which stand as their base."""
    own = {metric.name: metric for metric in metrics}
    return [
        Metric(name=f"{f.name}{AS}{form}", value=f.served, base=own[f.name].value, samples=f.samples)
        for f in check.figures
        if f.name in CARRIED and f.name in own
    ]


_NAMED = 20
"""Number of lost facts that a reason names."""


def provisional(number: int, metrics: Sequence[Metric], outcomes: Sequence[PromptOutcome], previous: int) -> Evaluation:
    """What was measured in float32, as an evaluation that nobody has judged yet."""
    return Evaluation(
        version=number,
        metrics=tuple(metrics),
        decision=GateDecision(passed=True, reasons=()),
        outcomes=tuple(outcomes),
        at=datetime(1, 1, 1, tzinfo=UTC),
        previous=previous,
    )


def check_form(complete: Complete, evaluation: Evaluation, facts: BelievedFacts) -> ServedCheck:
    """Ask a form the prompts that the carried figures rest on."""
    policy = [Threshold(metric=name, at_least=0.0) for name in CARRIED]
    return check_served(complete, evaluation, served_prompts(evaluation, policy), policy, known_names(facts))


def known_names(facts: BelievedFacts) -> dict[tuple[str, str], tuple[str, ...]]:
    """By item and property, the names of each fact's right answers."""
    return {(str(key.subject), str(key.property)): names_of(fact) for key, (_, fact) in facts.watched.items()}


def lost_edits(check: ServedCheck) -> tuple[str, ...]:
    """The edited facts that a form loses: item and property."""
    return tuple(f"{fact.subject} {fact.property}" for fact in check.lost if fact.group == EDITED)


def with_lost(reason: Reason, lost: Mapping[str, Sequence[str]]) -> Reason:
    """The reason on a form's efficacy, with the facts that are lost there."""
    name, _, form = reason.metric.partition(AS)
    facts = lost.get(form, ()) if name == "efficacy" else ()
    if not facts:
        return reason
    more = f" and {len(facts) - _NAMED} more" if len(facts) > _NAMED else ""
    text = f"{reason.text}; lost there: {', '.join(facts[:_NAMED])}{more}"
    if form in ROUNDED_FORMS and not reason.holds:
        text += f'; a recipe with refine_as = ["{form}"] writes them for that form'
    return replace(reason, text=text)
