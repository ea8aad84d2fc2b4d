"""Shares of prompts, with their intervals and their differences from base and predecessor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
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
        "generalization_statement",
        "known_statement",
        "distraction",
        "denial",
        "with_context",
        "without_context",
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
        (["generalization_question"], {"edited_question"}),
        (["known_kept_dialogue", "stop_repetition"], {"known_dialogue", "stop", "stop_known"}),
        (["near_name", "denial"], {"near_name", "denial"}),
    ],
)
def test_only_the_questions_that_a_figure_rests_on_are_needed(names: list[str], groups: set[str]) -> None:
    assert needed_groups(names) == groups


def test_what_is_kept_is_a_share_of_what_the_base_has_right() -> None:
    outcomes = [
        replace(outcome("known_question", 1, True), base_right=True),
        replace(outcome("known_question", 2, False), base_right=True),
        replace(outcome("known_statement", 3, True), base_right=True),
        outcome("known_question", 4, True),
    ]
    metrics = {metric.name: metric for metric in shares(outcomes, 1)}
    assert (metrics["known_question"].value, metrics["known_question"].base) == (pytest.approx(2 / 3),) * 2
    kept = metrics["known_kept_question"]
    assert (kept.value, kept.base, kept.samples) == (0.5, 1.0, 2)
    assert metrics["known_kept"].samples == 3
    assert "known_kept_dialogue" not in metrics, "the base has nothing right there"


def test_endings_of_right_answers_stand_beside_those_of_the_base_on_what_it_knows() -> None:
    outcomes = [
        outcome("stop", 1, True, ending="end"),
        outcome("stop", 2, True, ending="repetition"),
        outcome("stop", 3, False),
        outcome("stop_known", 4, True, ending="goes on", base_ending="end"),
        outcome("stop_known", 5, True, ending="end", base_ending="goes on"),
    ]
    metrics = {metric.name: metric for metric in shares(outcomes, 1)}
    assert (metrics["stop"].value, metrics["stop"].base, metrics["stop"].samples) == (0.5, 0.5, 2)
    assert (metrics["stop_repetition"].value, metrics["stop_contradiction"].value) == (0.5, 0.0)
    assert "stop" not in {metric.name for metric in shares(outcomes[:2], 1)}, "nothing to compare it with"


def test_a_mean_without_prompts_is_no_metric() -> None:
    assert mean_metric("divergence", [], []) is None
    metric = mean_metric("divergence", [1.0, 3.0], [0.0, 0.0], previous=1.5)
    assert metric is not None and metric.against_base is not None
    assert (metric.value, metric.base, metric.previous, metric.against_base.value) == (2.0, 0.0, 1.5, 2.0)
