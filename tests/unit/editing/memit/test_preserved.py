"""Guards: facts that an edit must not move are told to it, and moved less."""

from __future__ import annotations

import pytest
import torch

from kbsync.domain.fact import FactKey
from kbsync.domain.plan import Guard
from kbsync.domain.rewrite import Rewrite
from kbsync.domain.statement import ItemId, PropertyId
from kbsync.editing.common.prompts import tokenise
from kbsync.editing.memit.memit import MemitEditor
from kbsync.editing.memit.preserved import preserved_prompts
from kbsync.model.decoder import discover
from kbsync.model.delta import applied
from kbsync.model.hooks import activations
from tests.support.families import MemoryArtifacts, Silent, random_model, recipe, texts, tokenizer

ASKED = "The capital of {} is"
REWRITES = [Rewrite(ASKED, "France", "Oslo"), Rewrite(ASKED, "Spain", "Cairo")]


def guard(subject: str, template: str = ASKED) -> Guard:
    return Guard(key=FactKey(ItemId("Q1"), PropertyId("P36")), subject=subject, template=template)


def moved(model, delta, guards: list[Guard]) -> float:
    """How far the edited layers' outputs move at the guards' subjects: mean ‖Δ k‖ of the first edited layer."""
    decoder = discover(model)
    prompts = preserved_prompts(tokenizer(), guards, [], 100)
    layer = decoder.edited_layers(recipe().layers)[0].index
    distances = []
    for prompt in prompts:
        inputs = {"input_ids": torch.tensor([prompt.key_ids]), "use_cache": False}
        with torch.no_grad():
            before = activations(decoder, inputs, downs=[layer]).downs[layer][0, -1]
            with applied(model, delta):
                after = activations(decoder, inputs, downs=[layer]).downs[layer][0, -1]
        distances.append(float((after - before).norm()))
    assert distances
    return sum(distances) / len(distances)


@pytest.mark.parametrize("family", ["llama", "gemma3"])
def test_guarded_facts_move_less_and_the_base_not_at_all(family):
    model, guards = random_model(family), [guard("Peru"), guard("Kenya")]
    before = {n: p.clone() for n, p in model.named_parameters()}
    editor = MemitEditor(model, tokenizer(), "base", MemoryArtifacts(), texts())
    r = recipe(covariance_weight=1.0, guard_count=2, guard_weight=100.0)
    free = editor.edit(REWRITES, r, Silent())
    held = editor.edit(REWRITES, r, Silent(), guards=guards)
    assert moved(model, held.delta, guards) < 0.5 * moved(model, free.delta, guards)
    assert all(torch.equal(p, before[n]) for n, p in model.named_parameters())


def test_the_order_of_guards_does_not_matter():
    editor = MemitEditor(random_model("llama"), tokenizer(), "base", MemoryArtifacts(), texts())
    one, two = (
        editor.edit(REWRITES, recipe(), Silent(), guards=g).delta.factors
        for g in ([guard("Peru"), guard("Kenya")], [guard("Kenya"), guard("Peru")])
    )
    assert all(torch.equal(a, b) for n in one for a, b in zip(one[n], two[n], strict=True))


def test_what_has_an_edited_facts_key_is_no_guard_and_neither_is_what_has_no_prompt():
    rewrites = [tokenise(tokenizer(), Rewrite("{} is ruled from", "France", "Oslo"), [])]
    same_key = guard("France", "{} speaks")
    found = preserved_prompts(
        tokenizer(), [same_key, guard("Peru"), guard("Peru"), guard(" "), guard("Kenya")], rewrites, 100
    )
    assert len(found) == 2
    assert preserved_prompts(tokenizer(), [guard("Peru")], [], 2) == []
