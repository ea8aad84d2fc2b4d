"""Constrained fine-tuning: what plain Adam with weight decay and a clamp does to the weights themselves."""

from __future__ import annotations

from typing import Any

import pytest

from kbsync.domain.errors import EditError, ModelError
from tests.support.editing_world import assert_papers, changes_of, edited, editor_for, recipe_for
from tests.support.families import REWRITES, Silent, random_model


@pytest.mark.slow
@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2"])
@pytest.mark.parametrize(
    "options",
    [
        {"clamp": 9.0, "weight_decay": 0.0},
        {"clamp": 0.03, "weight_decay": 0.01},
        {"relative_step": False, "learning_rate": 1e-3, "clamp": 2e-3, "weight_decay": 0.0},
        {"loss_threshold": 4.0, "steps": 30, "weight_decay": 0.0},
    ],
    ids=["free", "bounded", "absolute", "converging"],
)
def test_fine_tuned_changes_are_the_papers(family: str, options: dict[str, Any]) -> None:
    edit, paper, rewrites, _ = edited(family, "finetune", batch=2, **{"learning_rate": 0.02} | options)
    assert_papers(edit, paper.finetune(rewrites))


def test_no_entry_moves_further_than_the_bound() -> None:
    r = recipe_for("finetune", clamp=2e-3, learning_rate=0.5, relative_step=False)
    edit = editor_for("finetune", random_model("llama")).edit(REWRITES, r, Silent())
    for change in changes_of(edit):
        assert float(change.abs().max()) == pytest.approx(2e-3, rel=1e-5)


def test_fine_tuning_that_diverges_is_refused() -> None:
    r = recipe_for("finetune", learning_rate=3e37, clamp=3e38, relative_step=False)
    with pytest.raises((EditError, ModelError)):
        editor_for("finetune", random_model("llama")).edit(REWRITES, r, Silent())


def test_there_are_no_target_vectors_and_no_covariance() -> None:
    edit = editor_for("finetune", random_model("llama")).edit(REWRITES, recipe_for("finetune"), Silent())
    assert edit.targets == {} and edit.covariance_fingerprint == ""
    assert all((layer.residual_before, layer.condition) == (0.0, 1.0) for layer in edit.report.layers)
