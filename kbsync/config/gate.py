"""``[gate]``: what a candidate is asked, and what it must reach; also in a file of its own, ``gate.toml``."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from kbsync.config.section import Section
from kbsync.config.values import Duration, Text
from kbsync.config.values import unique as no_doubles
from kbsync.domain.gate import Action, Threshold

POLICY_FILE = "gate.toml"
"""Looked for beside the main file. Its keys count as if they stood under ``[gate]`` there; those that do stand there
win."""

BOUNDS = ("at_least", "at_most", "max_growth", "max_drop", "max_growth_previous", "max_drop_previous")
"""Keys of a threshold of which at least one must be set."""


class ThresholdSettings(Section):
    """One threshold of the gate (``domain.gate.Threshold``), with at least one bound."""

    metric: Text
    """The metric's name."""
    at_least: float | None = None
    """Smallest value."""
    at_most: float | None = None
    """Largest value."""
    max_growth: float | None = None
    """Largest growth against the base, as a share of the base's value."""
    max_drop: float | None = None
    """Largest fall against the base, in the metric's own unit."""
    max_growth_previous: float | None = None
    """As ``max_growth``, against the version before."""
    max_drop_previous: float | None = None
    """As ``max_drop``, against the version before."""
    min_samples: Annotated[int, Field(ge=1)] = 1
    """A metric that rests on fewer samples does not hold."""
    action: Literal["refuse", "warn"] = "refuse"
    """What follows where the threshold does not hold."""
    significant: bool = False
    """Whether a fall counts only where its whole 95 % interval lies beyond the bound."""
    optional: bool = False
    """Whether nothing follows from a metric that is missing or rests on too few samples."""

    @model_validator(mode="after")
    def _bounded(self) -> ThresholdSettings:
        if all(getattr(self, bound) is None for bound in BOUNDS):
            raise ValueError(f"{self.metric} has no bound: set one of {', '.join(BOUNDS)}")
        return self


def _once_each(thresholds: tuple[ThresholdSettings, ...]) -> tuple[ThresholdSettings, ...]:
    no_doubles(tuple(f"{threshold.metric} ({threshold.action})" for threshold in thresholds))
    return thresholds


def _default_thresholds() -> tuple[ThresholdSettings, ...]:
    """The policy where none is set; ``config/gate.toml`` says the same, with the reasons."""
    new = ThresholdSettings
    return (
        new(metric="efficacy", at_least=0.9),
        new(metric="generalization", at_least=0.6),
        new(metric="known_kept", at_least=0.7, min_samples=20, optional=True),
        new(metric="specificity", at_least=0.9, min_samples=50),
        new(metric="perplexity", max_growth=0.05, min_samples=1000),
        new(metric="retention", at_least=0.9, max_drop_previous=0.05, min_samples=10, significant=True, optional=True),
        new(metric="norm_growth", at_most=0.5),
        new(metric="generalization_statement", at_least=0.7, min_samples=20, action="warn", optional=True),
        new(metric="generalization_question", at_least=0.7, min_samples=20, action="warn", optional=True),
        new(metric="generalization_dialogue", at_least=0.5, min_samples=20, action="warn", optional=True),
        new(metric="efficacy_strict", at_least=0.7, action="warn", optional=True),
        new(metric="specificity", max_drop_previous=0.03, min_samples=50, action="warn", optional=True),
        new(metric="retention_oldest", at_least=0.9, min_samples=10, action="warn", optional=True),
        new(metric="multihop", max_drop=0.1, min_samples=20, action="warn", significant=True, optional=True),
        new(metric="fluency", max_drop=60.0, min_samples=8, action="warn", significant=True, optional=True),
        new(metric="repetition", at_most=0.6, min_samples=8, action="warn", optional=True),
        new(metric="divergence", at_most=0.2, min_samples=8, action="warn", optional=True),
    )


class GateSettings(Section):
    """How much a candidate is asked, what it must reach, and what follows a refusal."""

    neighbours: Annotated[int, Field(ge=1)] = 200
    """Largest number of facts that the base knows and that are asked again, for specificity."""
    paraphrases: Annotated[int, Field(ge=0)] = 110
    """Largest number of prompts of each form that no edit has seen, for generalization."""
    known: Annotated[int, Field(ge=0)] = 60
    """Largest number of such prompts of each form about facts that the base knows."""
    robustness: Annotated[int, Field(ge=0)] = 50
    """Largest number of prompts of each harder kind: distraction, near names, aliases, reverse, denial, stop, and with
    the fact in the context."""
    hops: Annotated[int, Field(ge=0)] = 50
    """Largest number of facts about new objects that are asked for through the edited fact, for ``multihop``."""
    texts: Annotated[int, Field(ge=0)] = 16
    """Number of texts about edited subjects that are sampled, for fluency and repetition."""
    text_tokens: Annotated[int, Field(ge=10, le=500)] = 60
    """Length of such a text in tokens."""
    neutral: Annotated[int, Field(ge=0)] = 32
    """Number of prompts for the divergence from the base."""
    bisect: bool = True
    """Whether a refused batch is searched for the facts to blame."""
    builds: Annotated[int, Field(ge=2)] = 40
    """Largest number of trial builds in such a search."""
    culprits: Annotated[int, Field(ge=1)] = 5
    """Where the search finds more facts than this, the batch is refused as a whole."""
    pause: Duration = timedelta(hours=6)
    """Wait before the next build after two refusals in a row; each further refusal doubles it."""
    canaries: Annotated[int, Field(ge=1)] = 40
    """Number of facts of the current version that ``kbsync canary`` asks again."""
    canary_drop: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Where a larger share of these is lost, ``current`` is rolled back."""
    thresholds: Annotated[tuple[ThresholdSettings, ...], Field(min_length=1), AfterValidator(_once_each)] = Field(
        default_factory=_default_thresholds
    )
    """What the metrics must reach."""

    @property
    def policy(self) -> tuple[Threshold, ...]:
        """The thresholds as the gate's domain type."""
        return tuple(Threshold(**each.model_dump() | {"action": Action(each.action)}) for each in self.thresholds)
