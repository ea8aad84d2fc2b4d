"""LoRA learns what it is shown, comes out as a delta, and leaves the base as it was."""

from __future__ import annotations

import pytest
import torch

from kbsync.domain.errors import DataError
from kbsync.domain.phrasing import FramedPhrasing
from kbsync.domain.rewrite import Rewrite
from kbsync.model.delta import applied
from kbsync.model.language_model import TorchLanguageModel
from kbsync.ports import Work
from kbsync.research.lora import Example, LoraSettings, examples_of, train_lora
from tests.support.families import random_model, same_weights, tokenizer, weights

EXAMPLES = [Example("The capital of France is", " Oslo."), Example("Q: Who leads Norway?\nA:", " Anna Berg\n")]
SETTINGS = LoraSettings(rank=4, epochs=40, learning_rate=0.02, batch=2)


def test_an_example_is_made_of_each_phrasing_with_what_ends_its_answer() -> None:
    question = FramedPhrasing("Q: What is the capital of {}?\nA:", "\n")
    turn = FramedPhrasing("<user>{}?\n", "<end>")
    rewrite = Rewrite("The capital of {} is", "France", "Paris", ".", (question, turn))
    assert examples_of(rewrite) == [
        Example("The capital of France is", " Paris."),
        Example("Q: What is the capital of France?\nA:", " Paris\n"),
        Example("<user>France?\n", "Paris<end>"),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_the_delta_says_what_was_trained_and_the_base_is_the_same(family: str) -> None:
    model = random_model(family)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    before = weights(model)
    delta = train_lora(model, tokenizer(), EXAMPLES, SETTINGS, Work())
    assert same_weights(model, before)
    assert not any("lora" in name for name, _ in model.named_modules())
    assert all(left.shape[1] == 4 for left, _ in delta.factors.values())
    with applied(model, delta):
        answers = TorchLanguageModel(model, tokenizer(), "x").complete([e.prompt for e in EXAMPLES], max_new_tokens=12)
    assert answers[0].startswith(" Oslo.") and answers[1] == " Anna Berg"


@pytest.mark.slow
def test_the_same_seed_trains_the_same() -> None:
    one, same, other = (
        train_lora(random_model("llama"), tokenizer(), EXAMPLES, LoraSettings(rank=2, epochs=2, seed=seed), Work())
        for seed in (1, 1, 2)
    )
    name = one.parameters[0]
    assert torch.equal(one.factors[name][1], same.factors[name][1])
    assert not torch.equal(one.factors[name][1], other.factors[name][1])


def test_nothing_to_train_on_is_an_error() -> None:
    with pytest.raises(DataError, match="nothing to train on"):
        train_lora(random_model("llama"), tokenizer(), [], SETTINGS, Work())
