"""A recipe's fingerprint covers what shapes the weights, and every field is described."""

from __future__ import annotations

import ast
import inspect
from dataclasses import fields, replace
from typing import Any

import pytest

from kbsync.domain import recipe as module
from kbsync.domain.recipe import PUBLISHED, Recipe

RECIPE = Recipe(layers=(1, 2))
NOTHING = ("name", "trace", "capacity")
"""Fields that shape no weights."""


def other(value: Any) -> Any:
    """A value of the same kind that is another one."""
    match value:
        case bool():
            return not value
        case str():
            return value + "x"
        case tuple():
            return (*value, 7)
        case None:
            return 1.0
        case int() | float():
            return value + 1
    raise AssertionError(value)


@pytest.mark.parametrize("name", [f.name for f in fields(Recipe)])
def test_a_fingerprint_covers_exactly_what_shapes_the_weights(name: str) -> None:
    change: dict[str, Any] = {name: other(getattr(RECIPE, name))}
    changed = replace(RECIPE, **change)
    assert (changed.fingerprint == RECIPE.fingerprint) is (name in NOTHING)


def test_every_field_is_described_where_it_stands() -> None:
    body = ast.parse(inspect.getsource(module)).body
    (definition,) = (node for node in body if isinstance(node, ast.ClassDef) and node.name == "Recipe")
    described = {
        before.target.id
        for before, after in zip(definition.body, definition.body[1:], strict=False)
        if isinstance(before, ast.AnnAssign)
        and isinstance(before.target, ast.Name)
        and isinstance(after, ast.Expr)
        and isinstance(after.value, ast.Constant)
    }
    assert described == {f.name for f in fields(Recipe)}


def test_the_published_hyperparameters_have_their_fields() -> None:
    names = {name: f.name for f in fields(Recipe) for name in f.metadata.get(PUBLISHED, {}).values()}
    wanted = {
        "mom2_update_weight": "covariance_weight",
        "v_lr": "learning_rate",
        "v_num_grad_steps": "steps",
        "clamp_norm_factor": "clamp",
        "kl_factor": "kl_weight",
        "v_weight_decay": "weight_decay",
        "mom2_n_samples": "covariance_tokens",
        "mom2_dataset": "corpus",
        "layers": "layers",
    }
    assert wanted.items() <= names.items()
