"""Many facts searched at once, in a moving window, find what each finds alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from kbsync.domain.errors import Stopped
from kbsync.domain.phrasing import FramedPhrasing
from kbsync.domain.recipe import Recipe
from kbsync.domain.rewrite import Rewrite
from kbsync.editing.common.prompts import TokenisedRewrite, tokenise
from kbsync.editing.common.vocabulary_head import VocabularyHead
from kbsync.editing.memit.insertion import insertion_for
from kbsync.editing.memit.target_pool import asked
from kbsync.editing.memit.targets import WINDOW, groups, search
from kbsync.model.decoder import discover
from kbsync.model.hooks import frozen
from tests.support.editing_world import NAN_REWRITE, nan_token
from tests.support.families import IN_MANY_PHRASINGS, REWRITES, random_model, recipe, tokenizer


def world(family: str, **changes: Any) -> tuple[Any, Recipe, list[TokenisedRewrite]]:
    r = recipe(dtype="float64", **changes)
    return random_model(family, torch.float64), r, [tokenise(tokenizer(), q, r.contexts) for q in REWRITES]


def searched(model: Any, r: Recipe, rewrites: list[TokenisedRewrite], window: int = WINDOW) -> dict[str, Tensor | None]:
    decoder = discover(model)
    with frozen(model):
        insertion = insertion_for(decoder, decoder.edited_layers(r.layers))
        found = search(rewrites, r, insertion, VocabularyHead(decoder), window=window)
        return {rewrite.id: None if target is None else target.z for rewrite, target in found}


@pytest.mark.slow
@pytest.mark.parametrize(("window", "windows"), [(1, 100), (2, 100), (2, 1), (1, 2)])
@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma3"])
def test_a_fact_finds_the_same_whatever_is_searched_beside_it(
    family: str, window: int, windows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Facts that wait until others have ended, and pools that overlap."""
    model, r, rewrites = world(family, loss_threshold=6.4, steps=12, learning_rate=0.5)
    assert len({rewrite.suffix_length for rewrite in rewrites}) > 1
    together = searched(model, r, rewrites)
    monkeypatch.setattr("kbsync.editing.memit.targets.POOL_WINDOWS", windows)
    torch.testing.assert_close(searched(model, r, rewrites, window), together, rtol=0, atol=1e-9)


def test_a_costly_token_keeps_the_search_going() -> None:
    model, r, rewrites = world("llama", loss_threshold=6.5, steps=12)
    by_mean, by_token = (searched(model, replace(r, token_threshold=most), rewrites) for most in (None, 6.0))
    assert any(not equal(by_mean[i], by_token[i]) for i in by_mean)
    cheap = searched(model, replace(r, token_threshold=100.0), rewrites)
    assert all(equal(by_mean[i], cheap[i]) for i in by_mean)


def equal(one: Tensor | None, other: Tensor | None) -> bool:
    assert one is not None and other is not None
    return torch.equal(one, other)


def test_a_loss_that_is_not_finite_ends_one_search_and_no_other() -> None:
    model, r, rewrites = world("llama")
    nan_token(model)
    found = searched(model, r, [*rewrites, tokenise(tokenizer(), NAN_REWRITE, r.contexts)])
    assert [i for i, z in found.items() if z is None] == [NAN_REWRITE.id]
    assert set(found) == {rewrite.id for rewrite in rewrites} | {NAN_REWRITE.id}


def test_a_checkpoint_comes_before_every_step_and_may_end_the_search() -> None:
    model, r, rewrites = world("llama", steps=5, loss_threshold=0.0)
    decoder = discover(model)
    calls: list[int] = []

    def checkpoint() -> None:
        calls.append(1)
        if len(calls) == 3:
            raise Stopped("asked to stop")

    with frozen(model):
        insertion = insertion_for(decoder, decoder.edited_layers(r.layers))
        with pytest.raises(Stopped):
            list(search(rewrites, r, insertion, VocabularyHead(decoder), checkpoint))
        calls.extend([0] * 10)
        assert len(list(search(rewrites, r, insertion, VocabularyHead(decoder), checkpoint))) == 3
    assert len(calls) == 3 + 10 + 5


def test_facts_that_share_a_key_are_searched_as_one() -> None:
    """A fact may join two groups that had nothing in common before."""
    birth, sport, joined, apart = (
        tokenise(tokenizer(), rewrite, (), phrasings=True)
        for rewrite in (
            Rewrite("{} was born in", "France", "Oslo"),
            Rewrite("In sport, {} plays", "France", "chess"),
            Rewrite("{} sings", "France", "Rome", phrasings=(FramedPhrasing("In sport, {} likes"),)),
            Rewrite("{} was born in", "Norway", "Oslo"),
        )
    )
    assert {len(group) for group in groups([birth, sport, apart])} == {1}
    assert sorted(len(group) for group in groups([birth, sport, joined, apart])) == [1, 3]
    together = groups([birth, joined, sport])
    assert together == groups([sport, joined, birth]) and len(together) == 1


def test_facts_that_share_a_key_get_one_change() -> None:
    model, r, _ = world("llama", contexts=(), phrasings="all", steps=3)
    facts = [Rewrite("{} was born in", "France", "Oslo"), Rewrite("{} sings", "France", "Rome")]
    one, other = searched(model, r, [tokenise(tokenizer(), f, (), phrasings=True) for f in facts]).values()
    assert equal(one, other), "the same key, the same δ, so the same z"


@pytest.mark.parametrize("family", ["llama", "gemma3"])
def test_prompts_that_the_search_does_not_ask_get_the_same_change(family: str) -> None:
    """What is asked finds what it finds alone, and the other prompts' z is what a pass with that δ shows there."""
    model, r, _ = world(family, contexts=(), phrasings="all", steps=3, search_prompts=2)
    capital = IN_MANY_PHRASINGS[0]
    whole = tokenise(tokenizer(), capital, (), phrasings=True)
    asked_alone = replace(whole, prompts=(whole.prompts[0], whole.prompts[3]))
    (z,), (alone,) = (list(searched(model, r, [one]).values()) for one in (whole, asked_alone))
    assert z is not None and alone is not None and len(z) == len(whole.prompts)
    torch.testing.assert_close(z[[0, 3]], alone, rtol=0, atol=1e-9)
    decoder = discover(model)
    with torch.no_grad():
        insertion = insertion_for(decoder, decoder.edited_layers(r.layers))
        rows, init = insertion.prepare([(p.ids[:-1], p.lookup) for p in whole.prompts])
        delta = z[0] - init[0]
        if family == "gemma3":  # what a lower site does to a higher one is no part of δ, so only the first is compared
            torch.testing.assert_close(z[:, 0] - init[:, 0], delta[:1].expand(4, -1), rtol=0, atol=1e-9)
        else:
            torch.testing.assert_close(insertion.run(rows, delta.expand(4, -1, -1))[1], z, rtol=1e-6, atol=1e-6)


def test_what_is_asked_is_spread_over_a_facts_prompts() -> None:
    (rewrite,) = (tokenise(tokenizer(), r, (), phrasings=True) for r in IN_MANY_PHRASINGS[:1])
    chosen = [asked(rewrite, recipe(search_prompts=most)) for most in range(5)]
    assert chosen == [[0, 1, 2, 3], [0], [0, 3], [0, 1, 3], [0, 1, 2, 3]]
    assert asked(rewrite, recipe(search_prompts=9)) == [0, 1, 2, 3]
