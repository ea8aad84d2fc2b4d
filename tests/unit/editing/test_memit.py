"""The fast, batched code of MEMIT gives what the paper's equations give, one prompt and one token at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from kbsync.domain.recipe import Recipe
from kbsync.editing.common.prompts import TokenisedRewrite, tokenise
from kbsync.editing.common.vocabulary_head import VocabularyHead
from kbsync.editing.covariance.covariance import covariances
from kbsync.editing.memit.insertion import StreamInsertion
from kbsync.editing.memit.layerwise_forward import LayerwiseForward
from kbsync.editing.memit.memit import MemitEditor
from kbsync.editing.memit.targets import search
from kbsync.model.decoder import discover
from kbsync.model.hooks import frozen
from tests.support.editing_world import assert_papers, paper_world
from tests.support.families import (
    FAMILIES,
    IN_MANY_PHRASINGS,
    REWRITES,
    SANDWICH,
    MemoryArtifacts,
    Silent,
    texts,
    tokenizer,
)

PLAIN = tuple(family for family in FAMILIES if family not in SANDWICH)
"""Families whose edit is the published one."""


def targets(model: Any, recipe: Recipe, rewrites: Sequence[TokenisedRewrite]) -> dict[str, Tensor]:
    """z of each rewrite, by its id."""
    decoder = discover(model)
    with frozen(model):
        insertion = StreamInsertion(decoder, decoder.edited_layers(recipe.layers))
        found = search(rewrites, recipe, insertion, VocabularyHead(decoder))
        return {rewrite.id: target.z[0, 0] for rewrite, target in found if target is not None}


def assert_papers_targets(family: str, **changes: Any) -> list[float]:
    """‖δ‖ of each fact, after z was compared with the paper's."""
    model, recipe, paper, rewrites = paper_world(family, **changes)
    ours, norms = targets(model, recipe, rewrites), []
    for rewrite in rewrites:
        z = paper.z(rewrite)
        norm = float((z - paper.seen(paper.layers[-1][0], rewrite.bare.ids, rewrite.bare.lookup)).norm())
        torch.testing.assert_close(ours[rewrite.id], z, rtol=0, atol=1e-5 * (norm or 1.0))
        norms.append(norm)
    return norms


@pytest.mark.slow
@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"relative_step": False, "learning_rate": 0.5},
        {"clamp": 0.1, "steps": 6},
        {"optimiser": "steepest", "clamp": 0.3},
    ],
    ids=["relative", "absolute", "clamped", "steepest"],
)
def test_target_vectors_are_the_papers(family: str, changes: dict[str, Any]) -> None:
    assert all(assert_papers_targets(family, **changes))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "loss", "token"), [("llama", 6.2, None), ("gpt2", 6.6, None), ("gemma2", 6.1, None), ("llama", 6.5, 6.0)]
)
def test_searches_that_end_early_are_the_papers(family: str, loss: float, token: float | None) -> None:
    search = {"learning_rate": 0.5, "steps": 12}
    early = assert_papers_targets(family, loss_threshold=loss, token_threshold=token, **search)
    assert early != assert_papers_targets(family, loss_threshold=0.0, **search)


@pytest.mark.parametrize("family", FAMILIES)
def test_keys_are_the_papers(family: str) -> None:
    model, recipe, paper, rewrites = paper_world(family)
    decoder = discover(model)
    forward = LayerwiseForward(decoder, decoder.edited_layers(recipe.layers), [r.prompts for r in rewrites])
    for _, down in paper.layers:
        keys, outputs = forward.inspect()
        papers_keys = torch.stack([paper.key(down, r) for r in rewrites])
        torch.testing.assert_close(keys, papers_keys, rtol=1e-5, atol=1e-6)
        papers_outputs = torch.stack([paper.seen(down, r.bare.ids, r.bare.lookup) for r in rewrites])
        torch.testing.assert_close(outputs, papers_outputs, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(forward.step(), outputs)


@pytest.mark.slow
@pytest.mark.parametrize("family", PLAIN)
def test_changes_of_weights_are_the_papers(family: str) -> None:
    model, recipe, paper, rewrites = paper_world(family)
    artifacts = MemoryArtifacts()
    edit = MemitEditor(model, tokenizer(), "base", artifacts, texts()).edit(REWRITES, recipe, Silent())
    moments = covariances(discover(model), tokenizer(), texts(), recipe, "base", artifacts, Silent()).matrices
    z = targets(model, recipe, rewrites)
    papers = paper.spread(rewrites, [z[r.id] for r in rewrites], [moments[layer] for layer in recipe.layers])
    assert_papers(edit, papers)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2"])
@pytest.mark.parametrize(("loss", "steps"), [(5.6, 9), (0.0, 5), (6.0, 12)], ids=["dropping", "to the end", "early"])
def test_target_vectors_over_many_phrasings_are_those_of_the_plain_search(family: str, loss: float, steps: int) -> None:
    """Prompts that are answered drop out and come back, whatever the facts beside are at."""
    model, recipe, paper, _ = paper_world(
        family, contexts=(), phrasings="all", loss_threshold=loss, steps=steps, learning_rate=0.5
    )
    rewrites = [tokenise(tokenizer(), rewrite, (), phrasings=True) for rewrite in IN_MANY_PHRASINGS]
    decoder = discover(model)
    with frozen(model):
        insertion = StreamInsertion(decoder, decoder.edited_layers(recipe.layers))
        found = {r.id: t for r, t in search(rewrites, recipe, insertion, VocabularyHead(decoder))}
    for rewrite in rewrites:
        z, papers_loss = paper.target(rewrite)
        target = found[rewrite.id]
        assert target is not None and target.loss == pytest.approx(papers_loss, rel=1e-6)
        block, bare = paper.layers[-1][0], rewrite.bare
        change = z - paper.seen(block, bare.ids, bare.lookup)
        for prompt, ours in zip(rewrite.prompts, target.z[:, 0], strict=True):
            papers = paper.seen(block, prompt.ids, prompt.lookup) + change
            torch.testing.assert_close(ours, papers, rtol=0, atol=1e-5 * float(change.norm() or 1))


@pytest.mark.slow
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_changes_of_weights_by_many_phrasings_are_those_of_the_equations(family: str) -> None:
    """A column for each distinct key, weighted by the share of the fact's prompts that have it."""
    model, recipe, paper, _ = paper_world(family, contexts=(), context_count=0, phrasings="all")
    rewrites = [tokenise(tokenizer(), rewrite, (), phrasings=True) for rewrite in IN_MANY_PHRASINGS]
    artifacts = MemoryArtifacts()
    edit = MemitEditor(model, tokenizer(), "base", artifacts, texts()).edit(IN_MANY_PHRASINGS, recipe, Silent())
    moments = covariances(discover(model), tokenizer(), texts(), recipe, "base", artifacts, Silent()).matrices
    assert_papers(edit, paper.spread_phrasings(rewrites, [moments[layer] for layer in recipe.layers]))
