"""AlphaEdit: changes in the null space of ordinary text's keys, as the paper's equation has them."""

from __future__ import annotations

import pytest
import torch

from kbsync.editing.baselines.null_space import null_space
from tests.support.editing_world import assert_papers, changes_of, edited, editor_for, recipe_for
from tests.support.families import REWRITES, Silent, random_model

SHARE = 0.05


@pytest.mark.slow
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_changes_in_the_null_space_are_the_papers(family: str) -> None:
    edit, paper, rewrites, second_moments = edited(family, "alphaedit", batch=2, null_space_share=SHARE)
    assert_papers(edit, paper.alpha([rewrites[:2], rewrites[2:]], second_moments, SHARE))


def test_a_change_does_nothing_outside_the_null_space() -> None:
    edit, _, _, second_moments = edited("llama", "alphaedit", batch=2, null_space_share=SHARE)
    for change, moment in zip(changes_of(edit), second_moments, strict=True):
        basis = null_space(moment, SHARE)
        outside = change - change @ basis @ basis.T
        assert change.norm() > 0 and outside.norm() < 1e-5 * change.norm()


def test_an_edit_in_the_null_space_says_how_large_that_is() -> None:
    edit = editor_for("alphaedit", random_model("llama")).edit(REWRITES, recipe_for("alphaedit"), Silent())
    assert all(layer.free and 0 < layer.free < 48 for layer in edit.report.layers)


@pytest.mark.slow
def test_the_weight_is_that_of_the_identity() -> None:
    """The larger it is, the smaller the change."""
    model = random_model("llama")
    small, large = (
        editor_for("alphaedit", model).edit(REWRITES, recipe_for("alphaedit", covariance_weight=w), Silent())
        for w in (0.1, 1e4)
    )
    norms = [torch.stack([c.norm() for c in changes_of(e)]).max() for e in (small, large)]
    assert norms[1] < 0.1 * norms[0]
