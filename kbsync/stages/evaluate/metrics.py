"""From outcomes to metrics: shares with their intervals, compared prompt by prompt with base and predecessor."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from statistics import fmean

from kbsync.domain.ending import Ending
from kbsync.domain.gate import Metric
from kbsync.domain.interval import PairedDifference, bootstrap, paired, wilson
from kbsync.domain.version import PromptOutcome
from kbsync.stages.evaluate.question import (
    ALIAS,
    DENIAL,
    DISTRACTION,
    EDITED,
    EDITED_FORMS,
    HOP,
    KNOWN_FORMS,
    NEAR_NAME,
    NEIGHBOUR,
    OTHER,
    REVERSE,
    STOP,
    STOP_KNOWN,
    SUBJECT,
    UNTOUCHED,
    WITH_CONTEXT,
    WITHOUT_CONTEXT,
)

SHARES = {
    "efficacy": (EDITED,),
    "generalization": tuple(EDITED_FORMS.values()),
    **{f"generalization_{form}": (group,) for form, group in EDITED_FORMS.items()},
    "specificity": UNTOUCHED,
    "specificity_relation": (NEIGHBOUR,),
    "specificity_subject": (SUBJECT,),
    "specificity_other": (OTHER,),
    **{f"known_{form}": (group,) for form, group in KNOWN_FORMS.items()},
    "multihop": (HOP,),
    "distraction": (DISTRACTION,),
    "near_name": (NEAR_NAME,),
    "alias": (ALIAS,),
    "reverse": (REVERSE,),
    "denial": (DENIAL,),
    "with_context": (WITH_CONTEXT,),
    "without_context": (WITHOUT_CONTEXT,),
}
"""The groups of prompts that each share of right answers is taken of."""
KEPT = {
    "known_kept": tuple(KNOWN_FORMS.values()),
    **{f"known_kept_{form}": (group,) for form, group in KNOWN_FORMS.items()},
}
"""The groups of which it is asked what share of the base's right answers is still right."""
STOPS = {
    "stop": Ending.END,
    "stop_repetition": Ending.REPETITION,
    "stop_contradiction": Ending.CONTRADICTION,
}
"""Shares of right answers that go on in this way."""
RETENTION = "retention"
SCORED = ("efficacy", "generalization")
"""Shares that are also measured teacher-forced."""

Value = Callable[[PromptOutcome], float | None]
"""What one prompt contributes to a metric; None: nothing."""


def shares(outcomes: Sequence[PromptOutcome], version: int) -> list[Metric]:
    """Compute every metric that is a share of prompts; one without any prompt is left out.

    ``known_kept`` and its forms are over the prompts that the base answers rightly, so that the base has 1.
    ``retention`` is over the edited facts that the version before held, ``retention_oldest`` over those of them that
    have been held longest.

    Args:
        outcomes: What every prompt gave.
        version: The number of the measured version; 0: it is a trial build, of which nothing is retained.
    """
    metrics: list[Metric | None] = []
    for name, groups in SHARES.items():
        chosen = [o for o in outcomes if o.group in groups]
        metrics.append(_share(name, chosen, _right, _base_right, _previous_right))
        if name in SCORED:
            metrics.append(_share(f"{name}_probability", chosen, _success, _base_success, _previous_success))
            metrics.append(_share(f"{name}_strict", chosen, _strict, _base_strict, _previous_strict))
    for name, groups in KEPT.items():
        kept = [o for o in outcomes if o.group in groups and o.base_right]
        metrics.append(_share(name, kept, _right, _base_right, _previous_right))
    metrics += [_stop(name, kind, outcomes) for name, kind in STOPS.items()]
    retained = [o for o in outcomes if o.group == EDITED and 0 < o.since < version]
    oldest = min((o.since for o in retained), default=0)
    metrics.append(_share(RETENTION, retained, _right, _base_right, _previous_right))
    first = [o for o in retained if o.since == oldest]
    metrics.append(_share(f"{RETENTION}_oldest", first, _right, _base_right, _previous_right))
    return [metric for metric in metrics if metric is not None]


def needed_groups(names: Collection[str]) -> set[str]:
    """The groups of questions that the metrics of these names rest on."""
    bare = {name.removesuffix("_probability").removesuffix("_strict") for name in names}
    groups = {group for name in bare for group in SHARES.get(name, KEPT.get(name, ()))}
    groups |= {STOP, STOP_KNOWN} if bare & STOPS.keys() else set()
    return groups | ({EDITED} if bare & {RETENTION, f"{RETENTION}_oldest"} else set())


def mean_metric(
    name: str, values: Sequence[float], base: Sequence[float], *, previous: float | None = None
) -> Metric | None:
    """Compute a metric that is a mean over independent prompts; None without any.

    Args:
        name: The metric's name.
        values: One for each prompt.
        base: The base's, for the same prompts.
        previous: The metric of the version before.
    """
    if not values:
        return None
    low, high = bootstrap([[v] for v in values])
    return Metric(
        name=name,
        value=fmean(values),
        base=fmean(base),
        samples=len(values),
        low=low,
        high=high,
        previous=previous,
        against_base=paired([[a - b] for a, b in zip(values, base, strict=True)]),
    )


def _share(name: str, outcomes: Iterable[PromptOutcome], value: Value, base: Value, previous: Value) -> Metric | None:
    """Over the prompts that version and base were asked; the predecessor's over those of them that it was asked,
    too."""
    asked = [o for o in outcomes if value(o) is not None and base(o) is not None]
    if not asked:
        return None
    both = [o for o in asked if previous(o) is not None]
    values = list(_present(value, asked))
    low, high = _interval(asked, value)
    return Metric(
        name=name,
        value=fmean(values),
        base=fmean(_present(base, asked)),
        samples=len(values),
        low=low,
        high=high,
        previous=fmean(_present(previous, both)) if both else None,
        against_base=_difference(asked, value, base),
        against_previous=_difference(both, value, previous) if both else None,
    )


def _stop(name: str, kind: Ending, outcomes: Sequence[PromptOutcome]) -> Metric | None:
    """The share of right answers to edited facts that go on in this way, beside that of the base's right answers to
    facts that it knows; None where one of them has none."""
    edited = [float(o.ending == kind) for o in outcomes if o.group == STOP and o.ending]
    known = [float(o.base_ending == kind) for o in outcomes if o.group == STOP_KNOWN and o.base_ending]
    if not edited or not known:
        return None
    low, high = wilson(round(sum(edited)), len(edited))
    return Metric(name=name, value=fmean(edited), base=fmean(known), samples=len(edited), low=low, high=high)


def _interval(asked: Sequence[PromptOutcome], value: Value) -> tuple[float, float]:
    clusters = _clusters(asked, value)
    if all(len(cluster) == 1 for cluster in clusters):
        return wilson(round(sum(sum(cluster) for cluster in clusters)), len(clusters))
    return bootstrap(clusters)


def _difference(asked: Sequence[PromptOutcome], value: Value, other: Value) -> PairedDifference:
    return paired(_clusters(asked, lambda o: (value(o) or 0.0) - (other(o) or 0.0)))


def _clusters(asked: Iterable[PromptOutcome], value: Value) -> list[list[float]]:
    by_fact: Mapping[tuple[str, str], list[float]] = defaultdict(list)
    for outcome in asked:
        by_fact[outcome.subject, outcome.property].append(value(outcome) or 0.0)
    return list(by_fact.values())


def _present(value: Value, asked: Iterable[PromptOutcome]) -> Iterator[float]:
    return (number for o in asked if (number := value(o)) is not None)


def _right(o: PromptOutcome) -> float:
    return float(o.right)


def _base_right(o: PromptOutcome) -> float:
    return float(o.base_right)


def _previous_right(o: PromptOutcome) -> float | None:
    return None if o.previous_right is None else float(o.previous_right)


def _success(o: PromptOutcome) -> float | None:
    return float(o.score.success) if o.score else None


def _base_success(o: PromptOutcome) -> float | None:
    return float(o.base_score.success) if o.base_score else None


def _previous_success(o: PromptOutcome) -> float | None:
    return float(o.previous_score.success) if o.previous_score else None


def _strict(o: PromptOutcome) -> float | None:
    return float(o.score.strict) if o.score else None


def _base_strict(o: PromptOutcome) -> float | None:
    return float(o.base_score.strict) if o.base_score else None


def _previous_strict(o: PromptOutcome) -> float | None:
    return float(o.previous_score.strict) if o.previous_score else None
