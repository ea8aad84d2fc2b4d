from __future__ import annotations

import pytest
import torch

from kbsync.domain.errors import ModelError
from kbsync.model import forward as module
from kbsync.model.forward import Forward, batches, require_finite
from kbsync.model.tokens import encode
from tests.support.random_models import ARCHITECTURES, SENTENCES, random_model


@pytest.fixture(params=ARCHITECTURES)
def architecture(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@torch.inference_mode()
def test_padding_on_the_left_changes_no_prediction(architecture: str) -> None:
    model, tokenizer = random_model(architecture)
    forward = Forward(model)
    rows = [item.ids for item in encode(tokenizer, SENTENCES)]
    ids, mask = forward.padded(rows)
    logits = forward.logits(ids, mask, keep=2)
    assert logits.shape == (len(rows), 2, len(tokenizer))
    for row, padded in zip(rows, logits, strict=True):
        alone = model(input_ids=torch.tensor([row])).logits[0, -2:]
        torch.testing.assert_close(padded, alone, rtol=1e-4, atol=1e-4)


@torch.inference_mode()
def test_tokens_behind_a_cache_see_what_it_holds(architecture: str) -> None:
    model, tokenizer = random_model(architecture)
    forward, cache = Forward(model), Forward(model).cache()
    ids, mask = forward.padded([item.ids for item in encode(tokenizer, SENTENCES)])
    whole = forward.logits(ids, mask, keep=0)
    forward.logits(ids[:, :-3], mask[:, :-3], cache, keep=1)
    torch.testing.assert_close(forward.logits(ids[:, -3:], mask, cache, keep=0), whole[:, -3:], rtol=1e-4, atol=1e-4)


def test_places_are_bounded_by_the_logits_that_may_be_held(monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = random_model("llama")
    assert Forward(model).places == 4096
    for places, expected in ((100, 100), (1, 16)):
        monkeypatch.setattr(module, "LOGITS", places * len(tokenizer))
        assert Forward(model).places == expected


def test_a_text_longer_than_the_context_is_named() -> None:
    model, tokenizer = random_model("gpt2")
    forward = Forward(model)
    (item,) = encode(tokenizer, ["Iron"])
    assert forward.context == 128
    forward.require_fits(item, 128 - len(item.ids))
    with pytest.raises(ModelError, match=r"'Iron'.*more than the model's context of 128"):
        forward.require_fits(item, 129 - len(item.ids))


def test_predictions_must_be_finite() -> None:
    require_finite(torch.tensor([1.0, -1e30]))
    for wrong in (float("nan"), float("inf")):
        with pytest.raises(ModelError, match="not finite"):
            require_finite(torch.tensor([1.0, wrong]))


def test_batches_hold_all_indices_once_within_their_bounds() -> None:
    sizes = [5, 1, 9, 1, 30, 7]
    found = list(batches(sizes, rows=2, tokens=16))
    assert [index for batch in found for index in batch] == [1, 3, 0, 5, 2, 4]
    assert found[-1] == [4], "one that is too large goes alone"
    assert all(len(batch) * max(sizes[i] for i in batch) <= 16 for batch in found[:-1])
    assert list(batches([], rows=2)) == []
