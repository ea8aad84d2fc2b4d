"""Facts in steps: each step on the weights of the steps before, whose keys it leaves alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from kbsync.domain.rewrite import Preserved
from kbsync.domain.version import LayerReport
from kbsync.editing.baselines.sequential import PastKeys, merged
from kbsync.model.delta import applied
from tests.support.editing_world import assert_papers, delta_of, edited, editor_for, nll, recipe_for
from tests.support.families import REWRITES, MemoryArtifacts, Silent, random_model, recipe


@pytest.mark.slow
@pytest.mark.parametrize("family", ["llama", "gpt2"])
@pytest.mark.parametrize("size", [1, 2])
def test_steps_in_sequence_are_the_papers(family: str, size: int) -> None:
    edit, paper, rewrites, second_moments = edited(family, "memit-sequential", batch=size)
    steps = [rewrites[begin : begin + size] for begin in range(0, len(rewrites), size)]
    assert_papers(edit, paper.sequence(steps, second_moments))


def test_a_sequence_of_one_step_searches_the_vectors_that_one_mass_edit_searches() -> None:
    model, artifacts = random_model("llama"), MemoryArtifacts()
    editor_for("memit", model, artifacts).edit(REWRITES, recipe(), Silent())
    one_step = recipe_for("memit-sequential", batch=9)
    edit = editor_for("memit-sequential", model, artifacts).edit(REWRITES, one_step, Silent())
    assert edit.report.targets_reused == len(REWRITES)


class Forgetful(PastKeys):
    """Remembers no keys of earlier steps."""

    def remember(self, keys: Tensor) -> None: ...


@pytest.mark.slow
def test_a_step_leaves_alone_what_the_steps_before_it_wrote() -> None:
    """Without the keys of earlier steps in the matrix the first fact would move more."""
    model = random_model("llama", torch.float64)
    r = recipe_for("memit-sequential", dtype="float64", batch=1, covariance_weight=1e-3, steps=12)
    remembered = editor_for("memit-sequential", model).edit(REWRITES, r, Silent())
    forgetful: Any = editor_for("memit-sequential", model)
    forgetful._past = lambda covariance, used: Forgetful(used.covariance_weight * covariance.double())
    forgotten = forgetful.edit(REWRITES, r, Silent())
    first = min(REWRITES, key=lambda rewrite: rewrite.id)
    losses = []
    for edit in (remembered, forgotten):
        with applied(model, delta_of(edit)):
            losses.append(nll(model, first))
    assert losses[0] < losses[1]


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["memit-sequential", "alphaedit"])
def test_preserved_keys_have_a_place_in_a_sequence(algorithm: str) -> None:
    model = random_model("llama")
    preserved = [Preserved("The capital of {} is", subject) for subject in ("Peru", "Kenya")]
    r = recipe_for(algorithm, guard_count=2, guard_weight=100.0)
    free, held = (editor_for(algorithm, model).edit(REWRITES, r, Silent(), guards=g) for g in ((), preserved))
    name = free.delta.parameters[0]
    assert not torch.equal(delta_of(free).factors[name][1], delta_of(held).factors[name][1])


def test_the_report_of_all_steps_weighs_each_by_its_facts() -> None:
    steps = [
        LayerReport(layer=3, residual_before=1.0, residual_after=0.5, delta_ratio=0.1, condition=9.0, ridge=0.0),
        LayerReport(layer=3, residual_before=4.0, residual_after=2.0, delta_ratio=0.3, condition=5.0, ridge=0.2),
    ]
    assert merged(steps, [2, 1]) == LayerReport(
        layer=3, residual_before=2.0, residual_after=1.0, delta_ratio=0.3, condition=9.0, ridge=0.2
    )


def test_keys_are_remembered_in_the_coordinates_of_the_basis() -> None:
    keys = torch.tensor([[1.0], [2.0], [3.0]], dtype=torch.float64)
    plain = PastKeys(torch.eye(3, dtype=torch.float64))
    plain.remember(keys)
    torch.testing.assert_close(plain.matrix, torch.eye(3, dtype=torch.float64) + keys @ keys.T)
    basis = torch.eye(3, dtype=torch.float64)[:, 1:]
    bound = PastKeys(torch.eye(2, dtype=torch.float64), basis)
    bound.remember(keys)
    torch.testing.assert_close(bound.matrix, torch.tensor([[5.0, 6.0], [6.0, 10.0]], dtype=torch.float64))
    assert bound.penalty().basis is basis and bound.penalty().weight == 1.0
