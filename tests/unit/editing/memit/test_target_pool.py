"""A pool takes facts in, steps them together, and gives each away once."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from kbsync.editing.common.prompts import tokenise
from kbsync.editing.common.vocabulary_head import VocabularyHead
from kbsync.editing.memit.insertion import insertion_for
from kbsync.editing.memit.target_pool import Pass, Target, TargetPool
from kbsync.model.decoder import discover
from kbsync.model.hooks import frozen
from tests.support.families import REWRITES, random_model, recipe, tokenizer


def step(pool: TargetPool, head: VocabularyHead) -> dict[str, Target | None]:
    """One step of one pool; what it gave away."""
    passed: Pass = pool.forward()
    states = torch.cat([passed.at_targets.detach(), passed.at_kl.detach()])
    nll, kl, gradients = head.nll_and_kl(states, pool.positions.token, pool.positions.weight, pool.kl_before, 0.1)
    split = len(passed.at_targets)
    settled = pool.settle(passed, nll, kl, gradients[:split], gradients[split:])
    return {rewrite.id: target for rewrite, target in settled}


@pytest.mark.parametrize("family", ["llama", "gemma3"])
def test_facts_are_admitted_searched_and_given_away(family: str) -> None:
    model: Any = random_model(family)
    decoder, r = discover(model), recipe(steps=2)
    rewrites = [tokenise(tokenizer(), rewrite, r.contexts) for rewrite in REWRITES]
    with frozen(model):
        insertion, head = insertion_for(decoder, decoder.edited_layers(r.layers)), VocabularyHead(decoder)
        pool = TargetPool([(one,) for one in rewrites], r, insertion, head)
        assert len(pool.active) == 0
        assert pool.admit(2) == 2 and len(pool.kl_before) == 2
        first = pool.forward()
        assert first.delta.shape == (2, insertion.sites, decoder.hidden_size) and not first.delta.any()
        assert first.decay.tolist() == [0.0, 0.0], "δ is 0 before the first step"
        assert step(pool, head) == {}
        assert pool.admit(5) == 1 and len(pool.active) == 3
        ended = step(pool, head)
        assert set(ended) == {rewrite.id for rewrite in rewrites[:2]}, "each fact counts its own steps"
        assert len(pool.active) == 1
        last = step(pool, head)
        assert pool.done and set(last) == {rewrites[2].id}
    for target in (ended | last).values():
        assert target is not None and target.z.shape == (1, insertion.sites, decoder.hidden_size)
        assert target.loss > 0


def test_the_clamp_holds_at_every_site() -> None:
    model: Any = random_model("gemma3")
    decoder, r = discover(model), recipe(steps=6, clamp=0.05, learning_rate=1.0)
    rewrites = [tokenise(tokenizer(), rewrite, r.contexts) for rewrite in REWRITES]
    with frozen(model):
        insertion, head = insertion_for(decoder, decoder.edited_layers(r.layers)), VocabularyHead(decoder)
        pool = TargetPool([(one,) for one in rewrites], r, insertion, head)
        pool.admit(3)
        init = pool.forward().sites[:: len(rewrites[0].prompts)]
        for _ in range(3):
            step(pool, head)
        norms = pool.forward().delta.detach().norm(dim=-1)
    torch.testing.assert_close(norms, 0.05 * init.norm(dim=-1), rtol=1e-4, atol=0)
