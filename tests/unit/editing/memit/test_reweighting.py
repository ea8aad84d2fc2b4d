"""Which facts are not answered yet, told in one pass. What pressing does for them: test_trained.py."""

from __future__ import annotations

import pytest
import torch

from kbsync.domain.rewrite import Rewrite
from kbsync.editing.common.prompts import Prompt, TokenisedRewrite, tokenise
from kbsync.editing.memit.memit import MemitEditor
from kbsync.editing.memit.reweighting import unlearned
from kbsync.model.decoder import discover
from tests.support.families import FAMILIES, MemoryArtifacts, Silent, random_model, recipe, texts, tokenizer

ASKED = "The capital of {} is"


def continued(model, prompt: Prompt, count: int) -> tuple[int, ...]:
    """Plain token-by-token greedy decoding behind the prompt."""
    ids = list(prompt.ids)
    with torch.no_grad():
        for _ in range(count):
            ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
    return tuple(ids)


def asking(subject: str, ids: tuple[int, ...], bare: TokenisedRewrite) -> TokenisedRewrite:
    start = bare.bare.target
    return TokenisedRewrite(Rewrite(ASKED, subject, "any"), (Prompt(ids, bare.bare.lookup, start),), bare.kl_prompt)


@pytest.mark.parametrize("family", FAMILIES)
def test_unanswered_is_what_greedy_decoding_does_not_give(family):
    model = random_model(family)
    rewrites, wanted = [], []
    for place, subject in enumerate(("France", "Spain", "Peru", "Acme Inc.", "東京")):
        bare = tokenise(tokenizer(), Rewrite(ASKED, subject, "Oslo"), [])
        prompt = bare.bare
        ids = continued(model, Prompt(prompt.ids[: prompt.target], prompt.lookup, prompt.target), 1 + place % 3)
        rewrites.append(asking(subject, ids, bare))
        wanted.append(False)
        for wrong in range(prompt.target, len(ids)):
            other = (*ids[:wrong], (ids[wrong] + 1) % 300, *ids[wrong + 1 :])
            rewrites.append(asking(subject, other, bare))
            wanted.append(True)
    assert unlearned(discover(model), rewrites).tolist() == wanted


def test_where_all_is_answered_nothing_is_reweighted():
    model = random_model("llama")
    first = tokenise(tokenizer(), Rewrite(ASKED, "France", "Oslo"), []).bare
    token = continued(model, Prompt(first.ids[: first.target], first.lookup, first.target), 1)[-1]
    said = Rewrite(ASKED, "France", tokenizer().decode([token]).strip() or "Oslo")
    made = [
        MemitEditor(model, tokenizer(), "base", MemoryArtifacts(), texts()).edit(
            [said], recipe(press_rounds=n), Silent()
        )
        for n in (0, 3)
    ]
    assert unlearned(discover(model), [tokenise(tokenizer(), said, [])]).tolist() == [False], "the base says it already"
    assert made[1].report.pressed == {}
    for name, pair in made[0].delta.factors.items():
        assert all(torch.equal(a, b) for a, b in zip(pair, made[1].delta.factors[name], strict=True))
