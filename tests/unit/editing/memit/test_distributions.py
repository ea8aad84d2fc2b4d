"""Losses of many texts at once are those of each text alone."""

from __future__ import annotations

import pytest
import torch

from kbsync.editing.common.prompts import Prompt, tokenise
from kbsync.editing.memit import distributions
from kbsync.editing.memit.distributions import HEAD_ROWS, expected, kl_to, target_nll
from kbsync.model.decoder import discover
from kbsync.model.shared_start import LEAST
from tests.support.families import IN_MANY_PHRASINGS, random_model, tokenizer

PROMPTS = [p for r in IN_MANY_PHRASINGS for p in tokenise(tokenizer(), r, (), phrasings=True).prompts]


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2"])
def test_the_cost_of_a_target_is_that_of_its_tokens(family: str) -> None:
    model = random_model(family)
    together = target_nll(discover(model), PROMPTS)
    for n, prompt in enumerate(PROMPTS):
        with torch.no_grad():
            logs = model(torch.tensor([prompt.ids])).logits[0].log_softmax(-1)
        costs = [-float(logs[i - 1, prompt.ids[i]]) for i in range(prompt.target, len(prompt.ids))]
        assert float(together.mean[n].detach()) == pytest.approx(sum(costs) / len(costs), rel=1e-4)
        assert float(together.largest[n].detach()) == pytest.approx(max(costs), rel=1e-4)


@pytest.mark.parametrize("at_once", [HEAD_ROWS, 2])
def test_what_is_expected_is_the_likeliest_before_each_target_token(
    monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(distributions, "HEAD_ROWS", at_once)
    model = random_model("llama")
    rows = expected(discover(model), PROMPTS)
    assert [row.prompt for row in rows] == PROMPTS
    for row in rows:
        ids, begin = row.prompt.ids, row.prompt.target
        with torch.no_grad():
            logs = model(torch.tensor([ids])).logits[0, begin - 1 : -1].log_softmax(-1)
        assert len(row.tokens) == len(ids) - begin
        assert torch.equal(row.tokens[:, 0], logs.argmax(-1))
        torch.testing.assert_close(row.logprobs, logs.gather(1, row.tokens), rtol=1e-4, atol=1e-5)


def test_a_divergence_is_zero_where_nothing_changed_and_above_where_something_did() -> None:
    model = random_model("llama")
    decoder = discover(model)
    rows = expected(decoder, PROMPTS)
    assert abs(float(kl_to(decoder, rows).detach())) < 1e-5
    with torch.no_grad():
        model.model.layers[1].mlp.down_proj.weight.mul_(1.5)
    assert float(kl_to(decoder, rows).detach()) > 1e-3


def test_the_order_of_texts_of_other_lengths_changes_nothing() -> None:
    decoder = discover(random_model("gemma3"))
    texts = [Prompt((3, 5, 7, 9, 11, 13, 15), 0, 4), Prompt((3, 8), 0, 1)]
    one, other = (target_nll(decoder, order).mean.detach() for order in (texts, texts[::-1]))
    torch.testing.assert_close(one, other.flip(0), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("family", ["llama", "gemma3", "qwen3.5"])
def test_a_start_that_some_texts_share_is_run_once_and_changes_no_loss(family: str) -> None:
    """As behind the system prompt of a chat template; the other texts stand between."""
    start = tuple(range(3, 3 + LEAST + 5))
    texts = [
        Prompt((*start, 40, 41, 42, 43), LEAST, LEAST + 7),
        Prompt((3, 8), 0, 1),
        Prompt((*start, 50, 51), LEAST, LEAST + 5),
        Prompt((3, 5, 7, 9, 11, 13, 15), 0, 4),
        Prompt((*start, 40, 61, 62), LEAST, LEAST + 6),
    ]
    decoder = discover(random_model(family).double())  # recurrences round otherwise on other processors
    together = target_nll(decoder, texts)
    alone = [target_nll(decoder, [text]) for text in texts]
    torch.testing.assert_close(together.mean, torch.cat([one.mean for one in alone]), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(together.largest, torch.cat([one.largest for one in alone]), rtol=1e-5, atol=1e-6)
    weight = decoder.layers[1].down.weight
    losses = [together.mean.sum(), torch.cat([one.mean for one in alone]).sum()]
    gradients = [torch.autograd.grad(loss, weight)[0] for loss in losses]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-6)
