"""Shares of prompts, with their intervals and their differences from base and predecessor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from kbsync.domain.interval import wilson
from kbsync.domain.version import PromptOutcome
from kbsync.stages.evaluate.metrics import mean_metric, needed_groups, shares
from tests.support.stage_world import World, figures


def test_every_figure_of_a_first_version_has_its_samples_and_its_interval(world: World) -> None:
    found = figures(world.sync())
    assert set(found) == {
        "efficacy",
        "efficacy_probability",
        "efficacy_strict",
        "generalization",
        "generalization_probability",
        "generalization_strict",
        "specificity",
        "specificity_subject",
        "specificity_other",
        "perplexity",
        "divergence",
        "fluency",
        "repetition",
        "norm_growth",
    }
    efficacy = found["efficacy"]
    assert (efficacy.value, efficacy.base, efficacy.samples, efficacy.previous) == (1.0, 0.0, 2, None)
    assert efficacy.low == pytest.approx(0.3424, abs=1e-3)
    assert efficacy.against_base is not None and efficacy.against_base.value == 1.0
    assert found["efficacy_probability"].base == 0.0
    assert found["generalization"].samples == 2
    assert found["norm_growth"].value == world.base.growth


def outcome(group: str, fact: int, right: bool, **more: Any) -> PromptOutcome:
    return PromptOutcome(
        group=group, subject=f"Q{fact}", property="P36", prompt="", expected="", base_answer="", answer="",
        base_right=False, right=right, **more,
    )  # fmt: skip


def test_a_share_counts_prompts_and_compares_only_those_that_the_predecessor_was_asked() -> None:
    outcomes = [
        outcome("edited", 1, True, previous_right=True, since=1),
        outcome("edited", 2, False, previous_right=True, since=2),
        outcome("edited", 3, True, since=3),
        outcome("neighbour", 4, True),
    ]
    metrics = {metric.name: metric for metric in shares(outcomes, version=3)}
    efficacy = metrics["efficacy"]
    assert (efficacy.value, efficacy.base, efficacy.samples) == (pytest.approx(2 / 3), 0.0, 3)
    assert (efficacy.low, efficacy.high) == wilson(2, 3)
    assert efficacy.previous == 1.0
    assert efficacy.against_previous is not None
    assert (efficacy.against_previous.value, efficacy.against_previous.samples) == (-0.5, 2)
    assert (metrics["retention"].value, metrics["retention"].samples) == (0.5, 2)
    assert (metrics["retention_oldest"].value, metrics["retention_oldest"].samples) == (1.0, 1)
    assert "generalization" not in metrics, "nothing was asked"
    assert "retention" not in {metric.name for metric in shares(outcomes, version=0)}, "a trial build retains nothing"


def test_prompts_of_one_fact_make_the_interval_wider() -> None:
    def width(facts: Sequence[int]) -> float:
        rights = [i % 4 < 2 for i in range(len(facts))]
        (metric, *_) = shares([outcome("edited_statement", f, r) for f, r in zip(facts, rights, strict=True)], 1)
        assert metric.low is not None and metric.high is not None
        return metric.high - metric.low

    assert width([i // 2 for i in range(40)]) > width(range(40))


@pytest.mark.parametrize(
    ("names", "groups"),
    [
        (["efficacy_strict"], {"edited"}),
        (["specificity_subject", "retention_oldest"], {"subject", "edited"}),
        (["perplexity"], set()),
    ],
)
def test_only_the_questions_that_a_figure_rests_on_are_needed(names: list[str], groups: set[str]) -> None:
    assert needed_groups(names) == groups


def test_a_mean_without_prompts_is_no_metric() -> None:
    assert mean_metric("divergence", [], []) is None
    metric = mean_metric("divergence", [1.0, 3.0], [0.0, 0.0], previous=1.5)
    assert metric is not None and metric.against_base is not None
    assert (metric.value, metric.base, metric.previous, metric.against_base.value) == (2.0, 0.0, 1.5, 2.0)
