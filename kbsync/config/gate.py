"""``[gate]``, and the file ``gate.toml`` beside the main one, which is the same section's place of its own."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from kbsync.config.section import Section
from kbsync.config.values import Duration, Text
from kbsync.config.values import unique as no_doubles
from kbsync.domain.gate import Action, Threshold

POLICY_FILE = "gate.toml"
"""Looked for beside the main file; what it says counts as if it stood under ``[gate]`` there, which wins over it."""

BOUNDS = ("at_least", "at_most", "max_growth", "max_drop", "max_growth_previous", "max_drop_previous")


class ThresholdSettings(Section):
    """One threshold of the gate (``domain.gate.Threshold``); at least one of the bounds is demanded."""

    metric: Text
    at_least: float | None = None
    at_most: float | None = None
    max_growth: float | None = None
    max_drop: float | None = None
    max_growth_previous: float | None = None
    max_drop_previous: float | None = None
    min_samples: Annotated[int, Field(ge=1)] = 1
    action: Literal["refuse", "warn"] = "refuse"
    significant: bool = False
    optional: bool = False

    @model_validator(mode="after")
    def _bounded(self) -> ThresholdSettings:
        if all(getattr(self, bound) is None for bound in BOUNDS):
            raise ValueError(f"{self.metric} has no bound: set one of {', '.join(BOUNDS)}")
        return self


def _thresholds(values: tuple[ThresholdSettings, ...]) -> tuple[ThresholdSettings, ...]:
    no_doubles(tuple(f"{v.metric} ({v.action})" for v in values))
    return values


def _at_first() -> tuple[ThresholdSettings, ...]:
    """The policy where nobody set one; ``config/gate.toml`` says the same, with the reasons."""
    made = ThresholdSettings
    return (
        made(metric="efficacy", at_least=0.9),
        made(metric="generalization", at_least=0.5),
        made(metric="specificity", at_least=0.9, min_samples=50),
        made(metric="perplexity", max_growth=0.05, min_samples=1000),
        made(metric="retention", at_least=0.9, max_drop_previous=0.05, min_samples=10, significant=True, optional=True),
        made(metric="norm_growth", at_most=0.5),
        made(metric="efficacy_strict", at_least=0.7, action="warn", optional=True),
        made(metric="specificity", max_drop_previous=0.03, min_samples=50, action="warn", optional=True),
        made(metric="retention_oldest", at_least=0.9, min_samples=10, action="warn", optional=True),
        made(metric="multihop", max_drop=0.1, min_samples=20, action="warn", significant=True, optional=True),
        made(metric="fluency", max_drop=60.0, min_samples=8, action="warn", significant=True, optional=True),
        made(metric="repetition", at_most=0.6, min_samples=8, action="warn", optional=True),
        made(metric="divergence", at_most=0.2, min_samples=8, action="warn", optional=True),
    )


class GateSettings(Section):
    """What a candidate must reach, and how much is asked: at most so many prompts of each kind, ``texts`` sampled texts
    of ``text_tokens`` tokens for the fluency, ``neutral`` prompts for the divergence from the base.

    A refused batch is searched for the facts to blame (``bisect``) with at most ``builds`` trial builds, and given up as
    a whole when more than ``culprits`` are found. After two refusals in a row the next build waits for ``pause``, which
    doubles with every further one. ``canaries`` facts of the current version are asked again by ``kbsync canary``; when
    more than ``canary_drop`` of them (a share) are lost, current is rolled back.
    """

    neighbours: Annotated[int, Field(ge=1)] = 200
    paraphrases: Annotated[int, Field(ge=0)] = 200
    hops: Annotated[int, Field(ge=0)] = 50
    texts: Annotated[int, Field(ge=0)] = 16
    text_tokens: Annotated[int, Field(ge=10, le=500)] = 60
    neutral: Annotated[int, Field(ge=0)] = 32
    bisect: bool = True
    builds: Annotated[int, Field(ge=2)] = 40
    culprits: Annotated[int, Field(ge=1)] = 5
    pause: Duration = timedelta(hours=6)
    canaries: Annotated[int, Field(ge=1)] = 40
    canary_drop: Annotated[float, Field(ge=0, lt=1)] = 0.1
    thresholds: Annotated[tuple[ThresholdSettings, ...], Field(min_length=1), AfterValidator(_thresholds)] = Field(
        default_factory=_at_first
    )

    @property
    def policy(self) -> tuple[Threshold, ...]:
        """The thresholds as the gate's domain type."""
        return tuple(Threshold(**t.model_dump() | {"action": Action(t.action)}) for t in self.thresholds)
