"""Text that the model samples comes again for its seed."""

from __future__ import annotations

import pytest
import torch

from kbsync.editing.common.sampling import opening_ids, sample, seeded
from kbsync.model.decoder import discover
from tests.support.families import random_model, tokenizer


@pytest.mark.slow
def test_sampling_is_the_same_for_a_seed_and_another_for_another() -> None:
    decoder = discover(random_model("llama"))
    start = torch.tensor([[0, 5], [0, 9]])
    one, two, other = (sample(decoder, start, 12, 5, seeded(s)) for s in (1, 1, 2))
    assert torch.equal(one, two) and not torch.equal(one, other)
    assert one.shape == (2, 14) and torch.equal(one[:, :2], start)


def test_sampling_draws_from_the_likeliest_tokens_only() -> None:
    model = random_model("gemma3")
    drawn = sample(discover(model), torch.tensor([[0, 5, 8]]), 10, 3, seeded(0))
    with torch.no_grad():
        best = model(input_ids=drawn).logits[0].topk(3).indices
    assert all(int(drawn[0, i]) in best[i - 1] for i in range(3, 13))


def test_a_text_is_opened_as_the_tokenizer_opens_it() -> None:
    assert opening_ids(tokenizer()) == [0]
    assert opening_ids(tokenizer(with_bos=False)) == []
