"""The published files of hyperparameters, shape by shape: what is carried over, what is said, and what is refused."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest

from kbsync.domain.errors import DataError
from kbsync.domain.recipe import Recipe

MODULES = {
    "rewrite_module_tmp": "transformer.h.{}.mlp.fc_out",
    "layer_module_tmp": "transformer.h.{}",
    "mlp_module_tmp": "transformer.h.{}.mlp",
    "attn_module_tmp": "transformer.h.{}.attn",
    "ln_f_module": "transformer.ln_f",
    "lm_head_module": "lm_head",
}
SEARCH = {
    "fact_token": "subject_last",
    "v_num_grad_steps": 20,
    "v_lr": 5e-1,
    "v_loss_layer": 27,
    "v_weight_decay": 0.4,
    "kl_factor": 0.0625,
}
MOMENTS = {
    "mom2_adjustment": True,
    "mom2_dataset": "wikipedia",
    "mom2_n_samples": 100000,
    "mom2_dtype": "float32",
}
MEMIT: dict[str, Any] = {
    "layers": [3, 4, 5, 6, 7, 8],
    "clamp_norm_factor": 0.8,
    "layer_selection": "all",
    "mom2_update_weight": 20000,
    **SEARCH,
    **MOMENTS,
    **MODULES,
}
"""The shape of MEMIT's files, with other numbers than a recipe's defaults."""
ROME: dict[str, Any] = {
    "layers": [17],
    "clamp_norm_factor": 4,
    "context_template_length_params": [[5, 10], [10, 10]],
    **SEARCH,
    **MOMENTS,
    **MODULES,
}
ALPHA: dict[str, Any] = {**MEMIT, "model_name": "gpt2-xl", "nullspace_threshold": 2e-2, "L2": 10}
FINETUNE: dict[str, Any] = {
    "layers": [0],
    "num_steps": 30,
    "lr": 5e-4,
    "weight_decay": 0,
    "kl_factor": 0,
    "norm_constraint": 5e-5,
    **MODULES,
}


def read(document: dict[str, Any], **options: str) -> tuple[Recipe, str]:
    """The recipe, and what was warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        recipe = Recipe.from_memit_json(document, **options)
    assert len(caught) <= 1
    return recipe, "".join(str(w.message) for w in caught)


def test_memits_hyperparameters_are_carried_over() -> None:
    recipe, said = read(MEMIT, name="gpt-j")
    assert recipe == Recipe(
        name="gpt-j",
        algorithm="memit",
        layers=(3, 4, 5, 6, 7, 8),
        covariance_weight=20_000.0,
        clamp=0.8,
        steps=20,
        learning_rate=0.5,
        relative_step=False,
        weight_decay=0.4,
        kl_weight=0.0625,
        corpus="wikipedia",
    )
    for name in ("v_loss_layer 27", "mom2_dataset", "mom2_n_samples 100000", "mom2_dtype float32", "layer_module_tmp"):
        assert name in said
    assert "keeps its default" not in said.replace("covariance_tokens counts tokens: it keeps its default", "")


def test_numbers_have_the_types_of_a_recipe_so_that_its_hash_is_the_same() -> None:
    recipe, _ = read(ROME)
    assert isinstance(recipe.clamp, float) and isinstance(recipe.covariance_weight, float)
    assert recipe.fingerprint == read({**ROME, "clamp_norm_factor": 4.0})[0].fingerprint


def test_romes_contexts_have_one_length() -> None:
    recipe, said = read(ROME)
    assert (recipe.algorithm, recipe.layers, recipe.clamp) == ("rome", (17,), 4.0)
    assert (recipe.context_count, recipe.context_tokens) == (20, 10)
    assert "[[5, 10], [10, 10]]: all 20 contexts get 10 tokens" in said
    one_length, said = read({**ROME, "context_template_length_params": [[7, 3]]})
    assert (one_length.context_count, one_length.context_tokens) == (3, 7) and "contexts get" not in said


def test_alphaedit_weighs_the_identity_by_l2() -> None:
    recipe, said = read(ALPHA)
    assert (recipe.algorithm, recipe.covariance_weight) == ("alphaedit", 10.0)
    assert "nullspace_threshold 0.02" in said and "mom2_update_weight 20000" in said
    assert "model_name is not known here" in said


def test_fine_tuning_is_bounded() -> None:
    recipe, _ = read(FINETUNE)
    assert (recipe.algorithm, recipe.layers, recipe.steps) == ("finetune", (0,), 30)
    assert (recipe.learning_rate, recipe.clamp, recipe.weight_decay) == (5e-4, 5e-5, 0.0)
    assert not recipe.relative_step


def test_a_file_is_named_after_itself(tmp_path: Path) -> None:
    path = tmp_path / "gpt2-xl.json"
    path.write_text(json.dumps(MEMIT))
    with pytest.warns(UserWarning, match="v_loss_layer"):
        recipe = Recipe.from_memit_json(path)
    assert recipe.name == "gpt2-xl"
    with pytest.warns(UserWarning):
        assert Recipe.from_memit_json(str(path), name="mine") == Recipe.from_memit_json(MEMIT, name="mine")


def test_a_field_that_is_missing_or_unknown_is_named() -> None:
    said = read({k: v for k, v in MEMIT.items() if k != "v_lr"} | {"temperature": 1})[1]
    assert "v_lr is not in the file: learning_rate keeps its default" in said
    assert "temperature is not known here" in said


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({**MEMIT, "fact_token": "last"}, "fact_token is 'last'"),
        ({**MEMIT, "layer_selection": "random"}, "layer_selection is 'random'"),
        ({**ROME, "mom2_adjustment": False}, "mom2_adjustment is False"),
        ({**MEMIT, "rewrite_module_tmp": "transformer.h.{}.attn.out_proj"}, "down projections only"),
        ({**MEMIT, "rewrite_module_tmp": "transformer.h.{}"}, "down projections only"),
        ({**MEMIT, "layers": "all"}, "layers is 'all', not a list of numbers"),
        ({**MEMIT, "layers": [1, True]}, "not a list of numbers"),
        ({**MEMIT, "v_num_grad_steps": 2.5}, "v_num_grad_steps is 2.5, not a number"),
        ({**MEMIT, "v_lr": "fast"}, "v_lr is 'fast', not a number"),
        ({k: v for k, v in MEMIT.items() if k != "layers"}, "names no layers"),
        ({**ROME, "context_template_length_params": [5, 10]}, "not pairs of a length and a number"),
        ({**FINETUNE, "norm_constraint": False}, "within a bound only"),
        ({**FINETUNE, "kl_factor": 0.1}, "kl_factor is 0.1"),
        ({**FINETUNE, "wd_power_law": [-0.87, 0.15]}, "wd_power_law"),
        ({"lr": 1}, "no hyperparameters of MEMIT"),
    ],
)
def test_what_this_code_does_not_do_is_refused(document: dict[str, Any], reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        Recipe.from_memit_json(document)


def test_another_method_is_refused_by_name() -> None:
    with pytest.raises(DataError, match="of 'mend' were published"):
        Recipe.from_memit_json(MEMIT, algorithm="mend")


@pytest.mark.parametrize(("text", "reason"), [("{", "can't be read as JSON"), ("[1]", "no object")])
def test_a_file_that_is_none_is_refused(text: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(DataError, match=reason):
        Recipe.from_memit_json(path)
    with pytest.raises(DataError, match="can't be read as JSON"):
        Recipe.from_memit_json(tmp_path / "missing.json")
