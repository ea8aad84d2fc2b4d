"""Which facts are not answered yet, told in one pass, and what re-weighting does for them."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from kbsync.domain.rewrite import Rewrite
from kbsync.editing.common.prompts import Prompt, tokenise
from kbsync.editing.memit.memit import MemitEditor
from kbsync.editing.memit.reweighting import unlearned
from kbsync.model.decoder import discover
from kbsync.model.delta import applied
from kbsync.model.language_model import TorchLanguageModel
from kbsync.model.load import LoadedModel
from kbsync.ports import Edit
from tests.support.editing_world import delta_of, same_factors
from tests.support.families import FAMILIES, MemoryArtifacts, Silent, random_model, recipe, texts, tokenizer

ASKED = "The capital of {} is"


def continued(model: Any, prompt: Prompt, count: int) -> tuple[int, ...]:
    """Plain token-by-token greedy decoding after the prompt."""
    ids = list(prompt.ids[: prompt.target])
    with torch.no_grad():
        for _ in range(count):
            ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
    return tuple(ids)


@pytest.mark.parametrize("family", FAMILIES)
def test_unlearned_is_what_greedy_decoding_does_not_give(family: str) -> None:
    model = random_model(family)
    prompts: list[Prompt] = []
    expected = []
    for place, subject in enumerate(("France", "Spain", "Peru", "Acme Inc.", "東京")):
        plain = tokenise(tokenizer(), Rewrite(ASKED, subject, "Oslo"), []).bare
        ids = continued(model, plain, 1 + place % 3)
        prompts.append(Prompt(ids, plain.lookup, plain.target))
        expected.append(False)
        for wrong in range(plain.target, len(ids)):
            other = (*ids[:wrong], (ids[wrong] + 1) % 300, *ids[wrong + 1 :])
            prompts.append(Prompt(other, plain.lookup, plain.target))
            expected.append(True)
    assert unlearned(discover(model), prompts).tolist() == expected


def test_where_all_is_answered_nothing_is_reweighted() -> None:
    model = random_model("llama")
    prompt = tokenise(tokenizer(), Rewrite(ASKED, "France", "Oslo"), []).bare
    token = continued(model, prompt, 1)[-1]
    known = Rewrite(ASKED, "France", str(tokenizer().decode([token])).strip() or "Oslo")
    editor = MemitEditor(model, tokenizer(), "base", MemoryArtifacts(), texts())
    plain, thrice = (editor.edit([known], recipe(press_rounds=n), Silent()) for n in (0, 3))
    assert unlearned(discover(model), [tokenise(tokenizer(), known, []).bare]).tolist() == [False], "the base says it"
    assert thrice.report.pressed == {} and same_factors(plain, thrice)


@pytest.mark.slow
def test_reweighting_gets_facts_across_that_a_large_weight_held_back(
    trained_model: LoadedModel, sentences: list[str]
) -> None:
    new = {"Arvenia": "Naddel", "Dunland": "Kelp", "Gostia": "Tolm"}
    rewrites = [Rewrite(ASKED, land, city) for land, city in new.items()]
    ask = TorchLanguageModel(trained_model.model, trained_model.tokenizer, "tiny")
    editor = MemitEditor(trained_model.model, trained_model.tokenizer, "tiny", MemoryArtifacts(), sentences)

    def right(edit: Edit) -> set[str]:
        with applied(trained_model.model, delta_of(edit)):
            return {land for land, city in new.items() if ask.complete([ASKED.format(land)]) == [f" {city}."]}

    plain: dict[str, Any] = {
        "kl_weight": 0.0,
        "contexts": (),
        "context_count": 0,
        "layers": (0, 1),
        "steps": 25,
        "learning_rate": 0.1,
    }
    for weight in (10.0, 30.0, 100.0, 300.0, 1000.0):
        weak = editor.edit(rewrites, recipe(**plain, covariance_weight=weight), Silent())
        if len(right(weak)) < len(new):
            break
    assert len(right(weak)) < len(new) and weak.report.pressed == {}
    heavier = recipe(**plain, covariance_weight=weight, press_rounds=4, press_factor=10.0)
    strong = editor.edit(rewrites, heavier, Silent())
    assert right(strong) > right(weak)
    missing = {r.id for r in rewrites if r.subject not in right(weak)}
    assert missing <= strong.report.pressed.keys()
    assert set(strong.report.pressed.values()) <= {10.0, 100.0, 1e3, 1e4}
    assert strong.targets == weak.targets, "target vectors are the same"
    assert ask.complete([ASKED.format("Arvenia")]) == [" Tolm."]
