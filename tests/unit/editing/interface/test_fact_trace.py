"""Tracing a model in memory: the same effects as the tracer below, with tokens to draw them by."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import kbsync.editing as ke
from kbsync.editing.tracing import causal_trace
from kbsync.editing.tracing.causal_trace import TraceSettings
from kbsync.model.decoder import discover
from kbsync.model.hooks import frozen
from tests.support.families import random_model, same_weights, tokenizer, weights

ASKED = ("The capital of {} is", "Norway", "Oslo")


def test_it_is_the_tracers_and_names_the_tokens() -> None:
    model = random_model("gpt2").train()
    before = weights(model)
    traced = ke.trace_fact(model, tokenizer(), *ASKED, samples=2, window=2, sigma=0.4, seed=5)
    assert same_weights(model, before) and model.training
    decoder = discover(model)
    with frozen(model):
        prompt = causal_trace.trace_prompt(tokenizer(), *ASKED, 90)
        expected = causal_trace.trace_fact(decoder, prompt, 0.4, TraceSettings(3.0, 2, 2), 5)
    assert traced.trace == expected
    assert (traced.clean, traced.corrupted) == (expected.clean, expected.corrupted)
    assert traced.prompt == "The capital of Norway is"
    assert traced.answer == tokenizer().decode([prompt.answer])
    joined = "".join(traced.tokens)
    assert joined.replace("*", "") == " Norway is"
    assert [token.endswith("*") for token in traced.tokens].count(True) == prompt.last - prompt.first + 1
    for state in ke.State:
        grid = torch.tensor(traced.effects[state])
        assert grid.shape == (len(decoder.layers), len(traced.tokens))


def test_without_an_answer_what_the_model_says_is_traced() -> None:
    model = random_model("llama")
    traced = ke.trace_fact(model, tokenizer(), *ASKED[:2], samples=1)
    ids = torch.tensor([tokenizer()("The capital of Norway is")["input_ids"]])
    with torch.no_grad():
        last = model(input_ids=ids).logits[0, -1]
    assert traced.answer == tokenizer().decode([int(last.argmax())])
    assert traced.clean == pytest.approx(float(last.softmax(-1).max()), rel=1e-4)


def test_the_noises_scale_is_that_of_the_subjects_embeddings() -> None:
    model = random_model("llama")
    prompts = [("The capital of {} is", "Norway"), ("{} is led by", "Acme Inc.")]
    sigma = ke.embedding_std(model, tokenizer(), prompts)
    ids = [i for s in (" Norway", "Acme Inc.") for i in tokenizer()(s, add_special_tokens=False)["input_ids"]]
    embeddings: Any = model.get_input_embeddings()
    expected = float(embeddings.weight.detach()[torch.tensor(ids)].double().std())
    assert sigma == pytest.approx(expected, rel=1e-6)
    alone = ke.trace_fact(model, tokenizer(), *ASKED, samples=1)
    own = ke.embedding_std(model, tokenizer(), [ASKED[:2]])
    assert ke.trace_fact(model, tokenizer(), *ASKED, samples=1, sigma=own).trace == alone.trace


def test_averages_and_the_layers_that_they_suggest() -> None:
    """Only layer 1's MLP writes, so no other MLP can bring the answer back."""
    model = random_model("llama", torch.float64)
    for index, layer in enumerate(model.model.layers):
        if index != 1:
            layer.mlp.down_proj.weight.data.zero_()
    facts = [
        ke.trace_fact(model, tokenizer(), "The capital of {} is", subject, samples=8, window=1)
        for subject in ("Norway", "France", "Italy", "Peru")
    ]
    effects = ke.average_effects(facts, ke.State.MLP)
    assert len(effects) == 4 and effects[1][ke.Role.LAST_SUBJECT].facts == 4
    by_layer = [layer[ke.Role.LAST_SUBJECT].value for layer in effects]
    assert [abs(value) > 1e-9 for value in by_layer] == [False, True, False, False]
    assert ke.suggest_layers(facts) == ((1,) if by_layer[1] > 0 else ())


@pytest.mark.parametrize(
    ("template", "subject", "answer", "reason"),
    [
        ("The capital is", "Norway", "Oslo", "not exactly one place"),
        ("The capital is", "Norway", None, "not exactly one place"),
        ("The capital of {} is", " ", "Oslo", "subject is empty"),
        ("The capital of {} is", "Norway", " ", "answer is empty"),
        ("The capital of {} is", "Norway " * 120, "Oslo", "and 95 is the most"),
    ],
)
def test_what_can_not_be_traced(template: str, subject: str, answer: str | None, reason: str) -> None:
    with pytest.raises(ke.DataError, match=reason):
        ke.trace_fact(random_model("llama"), tokenizer(), template, subject, answer)
