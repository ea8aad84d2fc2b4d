"""What holds for every editor behind the port, whatever its algorithm."""

from __future__ import annotations

import pytest
import torch

from kbsync.domain.errors import EditError, Stopped
from kbsync.domain.recipe import ALGORITHMS
from kbsync.editing.editors import EDITORS
from kbsync.model.delta import applied
from tests.support.editing_world import (
    NAN_REWRITE,
    OTHERS,
    UNTRAINED,
    WITH_TARGETS,
    delta_of,
    editor_for,
    nan_token,
    nll,
    recipe_for,
    same_factors,
)
from tests.support.families import (
    FAMILIES,
    REWRITES,
    MemoryArtifacts,
    Silent,
    random_model,
    same_weights,
    weights,
)


def test_every_algorithm_that_a_recipe_may_name_has_its_editor() -> None:
    assert tuple(EDITORS) == ALGORITHMS


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", OTHERS)
@pytest.mark.parametrize("family", FAMILIES)
def test_facts_become_likelier_and_the_base_stays_bit_for_bit(algorithm: str, family: str) -> None:
    model = random_model(family)
    rewrites = REWRITES[:1] if algorithm == "rome" else REWRITES  # ROME's later facts undo the earlier ones
    before, plain = weights(model), [nll(model, r) for r in rewrites]
    bare = {"contexts": (), "context_count": 0, "covariance_weight": 1e-2, "null_space_share": 0.2}
    search = {} if algorithm == "finetune" else {"learning_rate": 0.5, "kl_weight": 0.0, "clamp": 3.0}
    edit = editor_for(algorithm, model).edit(rewrites, recipe_for(algorithm, **bare, **search), Silent())
    assert same_weights(model, before)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    with applied(model, delta_of(edit)):
        after = [nll(model, r) for r in rewrites]
    assert sum(after) < sum(plain)
    assert edit.report.left_out == {} and set(edit.report.losses) == {r.id for r in rewrites}


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", OTHERS)
def test_the_order_of_rewrites_does_not_matter(algorithm: str) -> None:
    model = random_model("gemma3")
    one, two = (
        editor_for(algorithm, model).edit(r, recipe_for(algorithm), Silent()) for r in (REWRITES, REWRITES[::-1])
    )
    assert one.targets == two.targets and same_factors(one, two)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", [a for a in WITH_TARGETS if a != "memit"])
def test_a_second_run_finds_every_target_vector_and_gives_the_same_bytes(algorithm: str) -> None:
    model, artifacts = random_model("llama"), MemoryArtifacts()
    one, two = (
        editor_for(algorithm, model, artifacts).edit(REWRITES, recipe_for(algorithm), Silent()) for _ in range(2)
    )
    assert (one.report.targets_reused, two.report.targets_reused) == (0, len(REWRITES))
    assert one.targets == two.targets and same_factors(one, two)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", OTHERS)
@pytest.mark.parametrize("at", [1, 2, 3])
def test_the_base_is_whole_wherever_an_edit_is_stopped(algorithm: str, at: int) -> None:
    model = random_model("llama")
    before = weights(model)
    with pytest.raises(Stopped):
        work = Silent(stop_at=at, error=Stopped("stop"))
        editor_for(algorithm, model).edit(REWRITES, recipe_for(algorithm), work)
    assert same_weights(model, before)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", UNTRAINED)
def test_a_fact_whose_loss_is_not_finite_is_left_out_by_name_and_the_rest_goes_on(algorithm: str) -> None:
    model = random_model("llama")
    nan_token(model)
    edit = editor_for(algorithm, model).edit([*REWRITES, NAN_REWRITE], recipe_for(algorithm), Silent())
    assert list(edit.report.left_out) == [NAN_REWRITE.id]
    assert "is not finite" in edit.report.left_out[NAN_REWRITE.id]
    assert set(edit.report.losses) >= {r.id for r in REWRITES}
    assert all(torch.isfinite(t).all() for pair in delta_of(edit).factors.values() for t in pair)
    alone = editor_for(algorithm, model).edit(REWRITES, recipe_for(algorithm), Silent())
    for name in alone.delta.parameters:
        ours, expected = (left @ right for left, right in (delta_of(e).factors[name] for e in (edit, alone)))
        if algorithm not in ("memit-sequential", "alphaedit", "finetune"):  # these go batch by batch
            torch.testing.assert_close(ours, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("algorithm", UNTRAINED)
def test_where_no_loss_is_finite_there_is_no_edit(algorithm: str) -> None:
    model = random_model("llama")
    nan_token(model)
    with pytest.raises(EditError, match="is not finite"):
        editor_for(algorithm, model).edit([NAN_REWRITE], recipe_for(algorithm), Silent())


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", OTHERS)
def test_bfloat16_models_can_be_edited(algorithm: str) -> None:
    model = random_model("llama", torch.bfloat16)
    before, plain = weights(model), sum(nll(model, r) for r in REWRITES)
    edit = editor_for(algorithm, model).edit(REWRITES, recipe_for(algorithm, dtype="bfloat16"), Silent())
    assert same_weights(model, before)
    with applied(model, delta_of(edit)):
        assert sum(nll(model, r) for r in REWRITES) < plain
