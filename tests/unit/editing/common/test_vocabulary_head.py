"""Losses in blocks, each with its gradient, are those of autograd over all logits at once."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from kbsync.editing.common.vocabulary_head import VocabularyHead
from kbsync.model.decoder import Decoder, discover
from tests.support.families import FAMILIES, random_model

DTYPE = torch.float64
ROWS = 11


def prepared(family: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Decoder, Tensor, Tensor, Tensor]:
    """A decoder whose head works in blocks of three rows; states, tokens, weights."""
    decoder = discover(random_model(family, DTYPE))
    vocabulary, d = decoder.head_weight.shape
    monkeypatch.setattr("kbsync.editing.common.vocabulary_head.BUFFER_BYTES", 3 * 8 * vocabulary)
    states = torch.randn(ROWS, d, dtype=DTYPE, generator=torch.Generator().manual_seed(0), requires_grad=True)
    return decoder, states, torch.arange(7) % vocabulary, torch.linspace(0.1, 1.0, 7, dtype=DTYPE)


@pytest.mark.parametrize("family", ["gemma2", "gptj", "llama"])
def test_losses_in_blocks_are_those_of_autograd(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks that hold target positions only, both kinds, and KL prompts only; Gemma 2's logits have a soft cap,
    GPT-J's head a bias."""
    decoder, states, tokens, weights = prepared(family, monkeypatch)
    vocabulary = decoder.head_weight.shape[0]
    draw = torch.Generator().manual_seed(1)
    before = torch.randn(4, vocabulary, dtype=DTYPE, generator=draw).log_softmax(-1)
    losses, kl, gradient = VocabularyHead(decoder).nll_and_kl(states.detach(), tokens, weights, list(before), 0.5)
    logs = decoder.logits(states).log_softmax(-1)
    nll = -logs[:7].gather(1, tokens[:, None])[:, 0]
    divergence = 0.5 * (logs[7:].exp() * (logs[7:] - before)).sum(-1)
    ((nll * weights).sum() + divergence.sum()).backward()  # type: ignore[no-untyped-call]
    assert states.grad is not None
    torch.testing.assert_close((losses, kl, gradient), (nll.detach(), divergence.detach(), states.grad))
    alone = VocabularyHead(decoder).nll(states.detach()[:7], tokens, weights)
    torch.testing.assert_close(alone, (losses, gradient[:7]))


@pytest.mark.parametrize("family", FAMILIES)
def test_probabilities_and_the_likeliest_token_are_the_models(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    decoder, states, _, _ = prepared(family, monkeypatch)
    head = VocabularyHead(decoder)
    with torch.no_grad():
        logits = decoder.logits(states)
    torch.testing.assert_close(torch.stack(head.log_probs(states)), logits.log_softmax(-1))
    assert torch.equal(head.likeliest(states), logits.argmax(-1))


def test_a_matrix_in_blocks_is_the_whole_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder, states, _, _ = prepared("llama", monkeypatch)
    whole = VocabularyHead(decoder).log_probs(states)
    monkeypatch.setattr("kbsync.editing.common.vocabulary_head.VOCABULARY_BLOCK", 50)
    torch.testing.assert_close(VocabularyHead(decoder).log_probs(states), whole)
