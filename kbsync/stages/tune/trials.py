"""One trial: a recipe writes development facts into the base, and what came out is measured as a version would be."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import harmonic_mean

from kbsync import __version__
from kbsync.domain.canonical import canonical_json, content_hash, plain
from kbsync.domain.errors import EditError, ModelError
from kbsync.domain.gate import Action, Metric, Threshold
from kbsync.domain.plan import EditRequest, Guard
from kbsync.domain.recipe import Recipe
from kbsync.ports import ArtifactStore, BaseModel, Clock, Editor, Work
from kbsync.stages.evaluate.measurement import Measurement
from kbsync.stages.evaluate.predecessor import Predecessor
from kbsync.stages.evaluate.question import EvaluationSize
from kbsync.stages.tune.development import Development
from kbsync.stages.tune.search import Trial

FORMAT = 2
"""Part of every key: trials of another format are not found."""
KIND = "tuning"
"""The kind of artifact that keeps what a search has measured."""
SCORED = ("efficacy", "generalization", "specificity")
"""The figures whose harmonic mean is the score."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What a trial writes and guards."""

    requests: tuple[EditRequest, ...]
    guards: tuple[Guard, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trials:
    """Makes trials on one base. Each is kept, so that a killed search goes on where it was."""

    base: BaseModel
    editor: Editor
    artifacts: ArtifactStore
    development: Development
    texts: Sequence[str]
    """For the perplexity; not those of the gate."""
    answer_tokens: int
    policy: Sequence[Threshold]
    """The gate's."""
    work: Work
    clock: Clock

    def make(self, recipe: Recipe, count: int) -> Trial:
        """Write the first ``count`` facts and measure; an edit that fails is a broken trial, and no error."""
        batch = Batch(requests=self.development.first(count), guards=self.development.guards)
        key = self._key(recipe, batch)
        stored = self.artifacts.get(KIND, key)
        if stored is None:
            begun = self.clock.monotonic()
            metrics, broken = self._measured(recipe, batch)
            document = {
                "metrics": [plain(metric) | {"against_base": None} for metric in metrics],
                "broken": broken,
                "seconds": round(self.clock.monotonic() - begun, 2),
            }
            self.artifacts.put(KIND, key, stored := canonical_json(document).encode())
        kept = json.loads(stored)
        metrics = [Metric(**metric) for metric in kept["metrics"]]
        return replace(judged(recipe, count, metrics, self.policy, kept["broken"]), seconds=kept["seconds"])

    def _measured(self, recipe: Recipe, batch: Batch) -> tuple[Sequence[Metric], str]:
        try:
            edit = self.editor.edit(batch.requests, recipe, self.work, guards=batch.guards)
            measurement = Measurement(
                base=self.base,
                artifacts=self.artifacts,
                facts=self.development.asked_beside(batch.requests),
                size=size_of(len(batch.requests)),
                answer_tokens=self.answer_tokens,
                held_out=self.texts,
                neutral=(),
                work=self.work,
            )
            measured = measurement.candidate(edit.delta, batch, 0, Predecessor())
        except (EditError, ModelError) as error:
            return (), error.what
        return measured.metrics, measured.broken

    def _key(self, recipe: Recipe, batch: Batch) -> str:
        asked = self.development.asked_beside(batch.requests)
        names = [[*key, relation.template_hash, fact.names_hash] for key, (relation, fact) in asked.watched.items()]
        return content_hash(
            [
                [FORMAT, __version__, self.base.fingerprint, recipe.fingerprint],
                [r.id for r in batch.requests],
                [g.id for g in batch.guards],
                [names, [phrasing for relation, _ in asked.watched.values() for phrasing in relation.phrasings]],
                [content_hash(list(self.texts)), self.answer_tokens],
            ]
        )


def size_of(count: int) -> EvaluationSize:
    """How much is asked of a trial that writes ``count`` facts."""
    beside = min(80, 4 * count)
    return EvaluationSize(
        paraphrases=2 * count,
        known=min(40, 2 * count),
        neighbours=beside,
        enough=beside,
        hops=0,
        robustness=0,
        texts=0,
        text_tokens=1,
    )


def judged(recipe: Recipe, facts: int, metrics: Sequence[Metric], policy: Sequence[Threshold], broken: str) -> Trial:
    """What the figures of a trial say."""
    by_name = {metric.name: metric for metric in metrics}
    misses = list(_misses(by_name, policy))
    growth = by_name["perplexity"].value / by_name["perplexity"].base - 1 if "perplexity" in by_name else 0.0
    return Trial(
        recipe=recipe,
        facts=facts,
        score=score(by_name[name].value for name in SCORED if name in by_name),
        short=1.0 if broken else sum(min(1.0, miss.by) for miss in misses),
        beyond_chance=(broken,) if broken else tuple(miss.text for miss in misses if miss.beyond_chance),
        growth=growth,
        figures={name: metric.value for name, metric in by_name.items()},
        broken=broken,
    )


def score(values: Iterator[float]) -> float:
    """The harmonic mean, 0 without any value."""
    return harmonic_mean(list(values) or [0.0])


@dataclass(frozen=True, slots=True)
class _Miss:
    by: float
    beyond_chance: bool
    text: str


def _misses(metrics: dict[str, Metric], policy: Sequence[Threshold]) -> Iterator[_Miss]:
    """The bounds of the gate that refuse and that the figures miss, whatever number of samples they rest on."""
    for threshold in policy:
        metric = metrics.get(threshold.metric)
        if metric is None or threshold.action is not Action.REFUSE:
            continue
        for bound, value, best, sign in _bounds(threshold, metric):
            by = sign * (bound - value)
            if by > 0:
                demanded = f"at {'least' if sign > 0 else 'most'} {bound:.3g}"
                text = f"{metric.name} is {value:.3g} (n={metric.samples}), demanded: {demanded}, {by:.3g} short"
                yield _Miss(by, sign * (bound - best) > 0, text)


def _bounds(threshold: Threshold, metric: Metric) -> Iterator[tuple[float, float, float, int]]:
    """(bound, value, the end of its interval that is nearest to the bound, 1: at least, -1: at most)"""
    value = metric.value
    high = value if metric.high is None else metric.high
    low = value if metric.low is None else metric.low
    if threshold.at_least is not None:
        yield threshold.at_least, value, high, 1
    if threshold.at_most is not None:
        yield threshold.at_most, value, low, -1
    if threshold.max_growth is not None and metric.base:
        yield threshold.max_growth, value / metric.base - 1, value / metric.base - 1, -1
    if threshold.max_drop is not None:
        yield -threshold.max_drop, value - metric.base, high - metric.base, 1
