"""Target vectors are stored by every input of their search, and by nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from safetensors.torch import load

from kbsync.domain.errors import Stopped
from kbsync.domain.phrasing import FramedPhrasing
from kbsync.editing.memit.memit import MemitEditor
from kbsync.editing.memit.target_cache import NOT_FINITE
from tests.support.editing_world import NAN_REWRITE, WITH_TARGETS, editor_for, nan_token, recipe_for
from tests.support.families import REWRITES, MemoryArtifacts, Silent, random_model, recipe, texts, tokenizer


def editor(model: Any, artifacts: MemoryArtifacts, base: str = "base") -> MemitEditor:
    return MemitEditor(model, tokenizer(), base, artifacts, texts())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "reused"),
    [
        ({"covariance_weight": 9.0}, 3),
        ({"covariance_tokens": 900}, 3),
        ({"name": "other"}, 3),
        ({"layers": (0, 2)}, 3),
        ({"press_rounds": 1}, 3),
        ({"layers": (1, 3)}, 0),
        ({"steps": 5}, 0),
        ({"clamp": 0.5}, 0),
        ({"kl_weight": 0.5}, 0),
        ({"learning_rate": 0.2}, 0),
        ({"relative_step": False}, 0),
        ({"weight_decay": 0.1}, 0),
        ({"loss_threshold": 0.1}, 0),
        ({"token_threshold": 0.1}, 0),
        ({"optimiser": "steepest"}, 0),
        ({"search_prompts": 1}, 0),
        ({"contexts": ("Now {}",)}, 0),
    ],
)
def test_a_key_holds_all_that_a_target_depends_on(changes: dict[str, Any], reused: int) -> None:
    model, artifacts = random_model("llama"), MemoryArtifacts()
    editor(model, artifacts).edit(REWRITES, recipe(), Silent())
    again = editor(model, artifacts).edit(REWRITES, replace(recipe(), **changes), Silent())
    assert again.report.targets_reused == reused


@pytest.mark.slow
def test_what_is_only_practised_shapes_no_target() -> None:
    model, artifacts = random_model("llama"), MemoryArtifacts()
    editor(model, artifacts).edit(REWRITES, recipe(), Silent())
    practised = [replace(r, practised=(FramedPhrasing("So: {} is"),)) for r in REWRITES]
    assert {r.id for r in practised}.isdisjoint(r.id for r in REWRITES)
    assert editor(model, artifacts).edit(practised, recipe(), Silent()).report.targets_reused == len(REWRITES)


@pytest.mark.slow
def test_in_sandwich_models_a_target_depends_on_every_edited_layer() -> None:
    model, artifacts = random_model("gemma3"), MemoryArtifacts()
    editor(model, artifacts).edit(REWRITES, recipe(), Silent())
    assert editor(model, artifacts).edit(REWRITES, recipe(layers=(0, 2)), Silent()).report.targets_reused == 0


@pytest.mark.slow
def test_another_base_shares_nothing() -> None:
    model, artifacts = random_model("llama"), MemoryArtifacts()
    editor(model, artifacts, "one").edit(REWRITES, recipe(), Silent())
    other = editor(model, artifacts, "two").edit(REWRITES, recipe(), Silent())
    assert other.report.targets_reused == 0
    assert len(artifacts.kinds("covariance")) == 4


@pytest.mark.slow
def test_only_new_facts_are_searched_for() -> None:
    model, artifacts = random_model("llama"), MemoryArtifacts()
    editor(model, artifacts).edit(REWRITES[:2], recipe(), Silent())
    more = editor(model, artifacts).edit(REWRITES, recipe(), Silent())
    assert more.report.targets_reused == 2
    assert set(more.targets) == {r.id for r in REWRITES}


@pytest.mark.slow
def test_a_stop_keeps_the_targets_that_were_found() -> None:
    model, artifacts = random_model("llama"), MemoryArtifacts()
    with pytest.raises(Stopped):
        editor(model, artifacts).edit(REWRITES, recipe(), Silent(stop_at=3, error=Stopped("asked to stop")))
    assert editor(model, artifacts).edit(REWRITES, recipe(), Silent()).report.targets_reused == 2


@pytest.mark.slow
@pytest.mark.parametrize("family", ["llama", "olmo2"])
def test_a_target_does_not_depend_on_the_facts_beside_it(family: str) -> None:
    model, r = random_model(family, torch.float64), recipe(dtype="float64")
    alone, together = MemoryArtifacts(), MemoryArtifacts()
    editor(model, together).edit(REWRITES, r, Silent())
    for rewrite in REWRITES:
        editor(model, alone).edit([rewrite], r, Silent())
    assert set(alone.kinds("targets")) == set(together.kinds("targets"))
    for place in alone.kinds("targets"):
        one, other = (load(store.contents[place])["goal"] for store in (alone, together))
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", WITH_TARGETS)
def test_a_vector_that_is_not_finite_is_never_stored(algorithm: str) -> None:
    model, artifacts = random_model("llama"), MemoryArtifacts()
    nan_token(model)
    edit = editor_for(algorithm, model, artifacts).edit([REWRITES[0], NAN_REWRITE], recipe_for(algorithm), Silent())
    assert edit.report.left_out == {NAN_REWRITE.id: NOT_FINITE}
    assert len(artifacts.kinds("targets")) == 1
