"""What the tests of the editing methods share: an editor for each algorithm, and the papers' equations beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from kbsync.domain.recipe import ALGORITHMS, Recipe
from kbsync.domain.rewrite import Rewrite
from kbsync.editing.common.prompts import TokenisedRewrite, tokenise
from kbsync.editing.covariance.covariance import covariances
from kbsync.editing.editor import TorchEditor
from kbsync.editing.editors import EDITORS
from kbsync.model.decoder import discover
from kbsync.model.delta import FactorDelta
from kbsync.model.language_model import TorchLanguageModel
from kbsync.ports import ArtifactStore, Edit
from tests.support.families import REWRITES, MemoryArtifacts, Silent, random_model, recipe, texts, tokenizer
from tests.support.paper import Paper

UNTRAINED = tuple(a for a in ALGORITHMS if a != "mend")
"""All but MEND, which needs a trained network and has tests of its own."""
OTHERS = tuple(a for a in ALGORITHMS if a not in ("memit", "mend"))
"""The algorithms besides MEMIT, which has its own tests for the same properties, and MEND, which needs a training."""
WITH_TARGETS = tuple(a for a in ALGORITHMS if a not in ("finetune", "breadth-first", "mend"))
"""Algorithms with target vectors and a covariance."""


def recipe_for(algorithm: str, **changes: Any) -> Recipe:
    """A recipe that suits the algorithm."""
    plain: dict[str, Any] = {"algorithm": algorithm, "batch": 2}
    if algorithm == "rome":
        plain["layers"] = (1,)
    if algorithm == "finetune":
        plain |= {"learning_rate": 0.02, "weight_decay": 0.0}
    if algorithm == "breadth-first":
        plain |= {"learning_rate": 0.02, "layers": (1,)}
    return recipe(**plain | changes)


def editor_for(algorithm: str, model: Any, artifacts: ArtifactStore | None = None) -> TorchEditor:
    return EDITORS[algorithm](model, tokenizer(), "base", artifacts or MemoryArtifacts(), texts())


def factors(edit: Edit) -> list[Tensor]:
    """All factors, in the order of the parameters' names."""
    delta = delta_of(edit)
    return [factor for name in delta.parameters for factor in delta.factors[name]]


def same_factors(one: Edit, other: Edit) -> bool:
    """Bit for bit."""
    return all(torch.equal(a, b) for a, b in zip(factors(one), factors(other), strict=True))


def delta_of(edit: Edit) -> FactorDelta:
    assert isinstance(edit.delta, FactorDelta)
    return edit.delta


def changes_of(edit: Edit) -> list[Tensor]:
    """Δ (out, in) of each edited layer, float64."""
    delta = delta_of(edit)
    return [left.double() @ right.double() for left, right in (delta.factors[n] for n in delta.parameters)]


def nll(model: Any, rewrite: Rewrite) -> float:
    """−log p of the target after the prompt, summed over its tokens."""
    scores = TorchLanguageModel(model, tokenizer(), "x").scores([(rewrite.prompt, rewrite.target)])
    return scores[0].nll * len(scores[0].hits)


def paper_world(family: str, **changes: Any) -> tuple[Any, Recipe, Paper, list[TokenisedRewrite]]:
    """A model in float64, a recipe, the papers' equations on that model, and the rewrites as tokens."""
    model = random_model(family, torch.float64)
    r = recipe(dtype="float64", **changes)
    layers = discover(model).edited_layers(r.layers)
    paper = Paper(model, [(layer.module, layer.down.module) for layer in layers], r)
    return model, r, paper, [tokenise(tokenizer(), rewrite, r.contexts) for rewrite in REWRITES]


def edited(family: str, algorithm: str, **changes: Any) -> tuple[Edit, Paper, list[TokenisedRewrite], list[Tensor]]:
    """The shipped code's edit; the papers' equations with the rewrites in the shipped order and its second moments."""
    model, r, paper, rewrites = paper_world(family, algorithm=algorithm, **changes)
    artifacts = MemoryArtifacts()
    edit = EDITORS[algorithm](model, tokenizer(), "base", artifacts, texts()).edit(REWRITES, r, Silent())
    moments = covariances(discover(model), tokenizer(), texts(), r, "base", artifacts, Silent()).matrices
    return edit, paper, sorted(rewrites, key=lambda t: t.id), [moments[layer] for layer in r.layers]


def assert_papers(edit: Edit, expected: Sequence[Tensor], tolerance: float = 1e-5) -> None:
    """The change of each layer is the papers', up to ``tolerance`` of its norm."""
    changes = changes_of(edit)
    assert len(changes) == len(expected)
    for ours, papers in zip(changes, expected, strict=True):
        assert papers.norm() > 0
        assert (ours - papers).norm() <= tolerance * papers.norm(), float((ours - papers).norm() / papers.norm())


def nan_token(model: Any) -> None:
    """Make the embedding of one token not a number; only the subject 東 holds that token."""
    token = tokenizer()("東", add_special_tokens=False)["input_ids"][-1]
    model.get_input_embeddings().weight.data[token] = float("nan")


NAN_REWRITE = Rewrite("The capital of {} is", "東", "Oslo")
"""A rewrite whose loss is not finite after ``nan_token``."""
