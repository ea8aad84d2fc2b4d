"""From outcomes to figures: shares with their intervals, compared prompt by prompt with base and predecessor."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from statistics import fmean

from kbsync.domain.gate import Metric
from kbsync.domain.interval import PairedDifference, bootstrap, paired, wilson
from kbsync.domain.version import PromptOutcome
from kbsync.stages.evaluate.questions import EDITED, HOP, NEIGHBOUR, OTHER, PARAPHRASE, SUBJECT, UNTOUCHED

GROUPS = {
    "efficacy": (EDITED,),
    "generalization": (PARAPHRASE,),
    "specificity": UNTOUCHED,
    "specificity_relation": (NEIGHBOUR,),
    "specificity_subject": (SUBJECT,),
    "specificity_other": (OTHER,),
    "multihop": (HOP,),
}
RETAINED = "retention"
SCORED = ("efficacy", "generalization")

Value = Callable[[PromptOutcome], float | None]


def shares(outcomes: Sequence[PromptOutcome], version: int) -> list[Metric]:
    """All figures that are shares of prompts; a figure without any prompt is left out.

    ``retention`` is over the edited facts that the version before held, ``retention_oldest`` over those of them that have
    been held longest.
    """
    found: list[Metric | None] = []
    for name, groups in GROUPS.items():
        chosen = [o for o in outcomes if o.group in groups]
        found.append(_share(name, chosen, _right, _base_right, _previous_right))
        if name in SCORED:
            found.append(_share(f"{name}_probability", chosen, _success, _base_success, _previous_success))
            found.append(_share(f"{name}_strict", chosen, _strict, _base_strict, _previous_strict))
    kept = [o for o in outcomes if o.group == EDITED and 0 < o.since < version]
    oldest = min((o.since for o in kept), default=0)
    found.append(_share(RETAINED, kept, _right, _base_right, _previous_right))
    first = [o for o in kept if o.since == oldest]
    found.append(_share(f"{RETAINED}_oldest", first, _right, _base_right, _previous_right))
    return [metric for metric in found if metric is not None]


def needed_groups(names: Collection[str]) -> set[str]:
    """Groups of questions that figures of these names rest on."""
    roots = {name.partition("_")[0] for name in names}
    groups = {group for name in names for group in GROUPS.get(name, ())}
    groups |= {group for root in roots if root in SCORED for group in GROUPS[root]}
    return groups | ({EDITED} if RETAINED in roots else set())


def mean_metric(
    name: str, values: Sequence[float], base: Sequence[float], *, previous: float | None = None
) -> Metric | None:
    """A figure that is a mean over independent prompts; None without any."""
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
    return (found for o in asked if (found := value(o)) is not None)


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
