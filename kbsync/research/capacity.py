"""How many facts one version holds: the base is edited with more and more facts, and each edit is judged by the gate.

The rule (``docs/explanation/capacity.md``): a size holds if every demand holds. A size fails beyond chance if a demand
fails even at the better end of the 95 % interval (of a share, the wider one of the bootstrap's and Wilson's, which the
gate takes; of two right answers in ten the bootstrap is too sure). The limit is the largest size that holds below the
first one that fails beyond chance.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from kbsync.domain.gate import Action, GateDecision, Metric, Threshold, decide
from kbsync.domain.interval import RESAMPLES, wilson
from kbsync.operations.evidence import Figure, at_least
from kbsync.research.bench import Data, Extent, run_lines
from kbsync.research.grid import UNEDITED, Algorithm, Bench

SIZES = (10, 30, 100, 300, 1000, 3000)
FIGURES = {"efficacy": "efficacy_success", "generalization": "generalization_success"}
"""CounterFact's figure for each of the gate's. Specificity and perplexity are compared with the base instead."""
PARAPHRASED = 0.5
"""The demand on ``generalization_success``. The gate's own bound is on greedy answers in held-out phrasings, which an
edit of CounterFact's single prompts is not made for."""
EXTENT = Extent(cases=200, answer_tokens=5)
LEAST = 300
"""Facts that a recipe should hold in one version."""
PERPLEXITY = "perplexity"
SPECIFICITY = "specificity_success"


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedSize:
    """A number of edits, and what the gate says of it."""

    edits: int
    metrics: tuple[Metric, ...]
    """Those that are judged."""
    growth: tuple[float, float, float]
    """Growth of the perplexity, and the bounds of its 95 % interval over texts."""
    decision: GateDecision
    surely_fails: bool
    """It fails, and chance does not explain it."""


def run_capacity(
    bench: Bench,
    data: Data,
    algorithm: Algorithm,
    policy: Sequence[Threshold],
    *,
    sizes: Iterable[int] = SIZES,
    extent: Extent = EXTENT,
    targets: Sequence[Threshold] = (),
) -> dict[str, Any]:
    """Measure one recipe at every size. A size includes the smaller ones' cases, whose target vectors are used again.

    Args:
        bench: Must have held-out texts.
        data: CounterFact cases.
        algorithm: The recipe's line.
        policy: The gate's thresholds.
        sizes: Numbers of edits.
        extent: How much is measured.
        targets: Demands on figures of the table, beside those of the gate.

    Returns:
        The evidence document.

    Raises:
        DataError: The data can't be read or is too small.
        EditError: An edit fails.
        Stopped: A stop was asked for; raised between two parts. What is finished is kept.
    """
    document = run_lines(bench, data, [algorithm], sorted(set(sizes)), extent, targets, "kbsync bench capacity")
    demanded = demands(policy)
    judged = judge(document, algorithm.name, demanded)
    limit = read_limit(judged)
    document["figures"] += [asdict(figure) for figure in _figures(judged, limit)]
    document["capacity"] = {
        "algorithm": algorithm.name,
        "limit": limit,
        "demands": [{k: v for k, v in asdict(t).items() if k in BOUNDS and v is not None} for t in demanded],
        "sizes": [_plain(size) for size in judged],
    }
    return document


BOUNDS = ("metric", "at_least", "max_drop", "max_growth")


def demands(policy: Iterable[Threshold]) -> list[Threshold]:
    """The gate's refusing bounds as demands on CounterFact's figures.

    Bounds on efficacy and the growth of the perplexity are taken as they are; a bound on generalization becomes
    ``PARAPHRASED``. The gate demands a specificity of at least x among facts that the base has right. CounterFact's
    specificity of the base is below one, so here it may fall by 1 − x. Other bounds are left out.
    """
    bounds = []
    for bound in policy:
        if bound.action is not Action.REFUSE:
            continue
        if bound.metric in FIGURES and bound.at_least is not None:
            least = PARAPHRASED if bound.metric == "generalization" else bound.at_least
            bounds.append(Threshold(metric=FIGURES[bound.metric], at_least=least))
        elif bound.metric == "specificity" and bound.at_least is not None:
            bounds.append(Threshold(metric=SPECIFICITY, max_drop=1 - bound.at_least))
        elif bound.metric == PERPLEXITY and bound.max_growth is not None:
            bounds.append(Threshold(metric=PERPLEXITY, max_growth=bound.max_growth))
    return bounds


def judge(document: Mapping[str, Any], algorithm: str, wanted: Sequence[Threshold]) -> list[JudgedSize]:
    """Every size of the document's ``results``, ascending."""
    cells = {(cell["algorithm"], cell["edits"]): cell for cell in document["results"]}
    sizes = sorted({edits for name, edits in cells if name == algorithm})
    return [_judge(edits, cells[algorithm, edits], cells[UNEDITED, edits], wanted) for edits in sizes]


def read_limit(judged: Iterable[JudgedSize]) -> int:
    """The limit by this module's rule; 0 if no size holds."""
    limit = 0
    for size in judged:
        if size.surely_fails:
            break
        if size.decision.passed:
            limit = size.edits
    return limit


def _judge(edits: int, cell: Mapping[str, Any], base: Mapping[str, Any], wanted: Sequence[Threshold]) -> JudgedSize:
    growth = perplexity_growth(base["texts"], cell["texts"])
    metrics, at_best = [], []
    for name in (*FIGURES.values(), SPECIFICITY):
        e, of_base = cell["estimates"][name], base["estimates"][name]["value"]
        metric = Metric(name=name, value=e["value"], base=of_base, samples=e["cases"], low=e["low"], high=e["high"])
        metrics.append(metric)
        at_best.append(replace(metric, value=_better_end(e)))
    start = base[PERPLEXITY]
    value, low, high = (start * (1 + part) for part in growth)
    tokens = sum(count for _, count in cell["texts"])
    perplexity = Metric(name=PERPLEXITY, value=value, base=start, samples=tokens, low=low, high=high)
    return JudgedSize(
        edits=edits,
        metrics=(*metrics, perplexity),
        growth=growth,
        decision=decide([*metrics, perplexity], wanted),
        surely_fails=not decide([*at_best, replace(perplexity, value=low)], wanted).passed,
    )


def _better_end(estimate: Mapping[str, Any]) -> float:
    """The upper bound of a share's interval."""
    cases = estimate["cases"]
    return max(float(estimate["high"]), wilson(round(estimate["value"] * cases), cases)[1])


def perplexity_growth(
    base: Sequence[tuple[float, int]], edited: Sequence[tuple[float, int]], *, seed: int = 0
) -> tuple[float, float, float]:
    """Growth of the perplexity over all tokens, with the bounds of its 95 % bootstrap interval over texts.

    Args:
        base: (perplexity, number of tokens) of each text on the base.
        edited: The same texts on the edited model.
        seed: Draws the resamples.
    """
    pairs = [(n * math.log(after / before), n) for (before, n), (after, _) in zip(base, edited, strict=True)]

    def grown(drawn: Sequence[tuple[float, int]]) -> float:
        return math.expm1(min(700.0, math.fsum(d for d, _ in drawn) / sum(n for _, n in drawn)))

    source = random.Random(seed)
    resampled = sorted(grown(source.choices(pairs, k=len(pairs))) for _ in range(RESAMPLES))
    tail = round(0.025 * RESAMPLES)
    return grown(pairs), resampled[tail], resampled[-1 - tail]


def _figures(judged: Sequence[JudgedSize], limit: int) -> list[Figure]:
    holding = [
        Figure(f"{size.edits} facts hold the gate's bounds", float(size.decision.passed), "yes = 1") for size in judged
    ]
    return [*holding, at_least("capacity", limit, "facts", LEAST)]


def _plain(size: JudgedSize) -> dict[str, Any]:
    value, low, high = size.growth
    return {
        "edits": size.edits,
        "holds": size.decision.passed,
        "surely_fails": size.surely_fails,
        "reasons": [reason.text for reason in size.decision.reasons],
        "perplexity_growth": {"value": value, "low": low, "high": high},
    }
