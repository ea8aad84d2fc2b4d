from __future__ import annotations

import math

import pytest
import torch

from kbsync.domain.errors import DataError
from kbsync.model import forward
from kbsync.model import perplexity as module
from kbsync.model.perplexity import PerplexityMeter
from tests.support.plain_scores import plain_logprobs
from tests.support.random_models import ARCHITECTURES, SENTENCES, language_model, random_model
from tests.support.recorded_work import RecordedWork


@pytest.fixture(params=ARCHITECTURES)
def architecture(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("places", [16, 4096])
def test_perplexity_is_that_of_plain_forward_passes(
    architecture: str, places: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, tokenizer = random_model(architecture)
    monkeypatch.setattr(forward, "LOGITS", places * len(tokenizer))
    monkeypatch.setattr(module, "WINDOW", 30)
    texts = [*SENTENCES, " ".join(SENTENCES), "", "Iron"]
    nll, count = 0.0, 0
    for text in texts:
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        prefix = [] if architecture == "gpt2" else [0]
        for start in range(0, len(ids), 30):
            window = prefix + ids[start : start + 30]
            if len(window) > 1:
                nll -= float(plain_logprobs(architecture, window).sum())
                count += len(window) - 1
    perplexity = language_model(architecture).perplexity(texts)
    assert perplexity.tokens == count
    assert math.log(perplexity.value) == pytest.approx(nll / count, abs=1e-5)


def test_windows_begin_as_every_text_does_and_hold_all_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = random_model("llama")
    monkeypatch.setattr(module, "WINDOW", 7)
    windows = PerplexityMeter(model, tokenizer).windows([" ".join(SENTENCES), "", "Iron"])
    assert all(window[0] == tokenizer.bos_token_id and 1 < len(window) <= 8 for window in windows)
    tokens = [token for window in windows for token in window[1:]]
    assert tokens == tokenizer(" ".join(SENTENCES))["input_ids"][1:] + tokenizer("Iron")["input_ids"][1:]


def test_a_model_that_knows_nothing_is_as_perplexed_as_its_vocabulary_is_large() -> None:
    model, tokenizer = random_model("gpt2", seed=3)
    weight = model.get_output_embeddings().weight
    kept = weight.clone()
    try:
        with torch.no_grad():
            weight.zero_()
        meter, work = PerplexityMeter(model, tokenizer), RecordedWork()
        windows = meter.windows(SENTENCES)
        perplexity = meter.over(windows, work=work)
    finally:
        with torch.no_grad():
            weight.copy_(kept)
    assert perplexity.value == pytest.approx(len(tokenizer))
    assert perplexity.tokens == sum(len(window) - 1 for window in windows) and work.items == len(windows)


def test_texts_without_a_token_to_predict_are_refused() -> None:
    meter = PerplexityMeter(*random_model("gpt2"))
    with pytest.raises(DataError, match="no token that could be predicted"):
        meter.over(meter.windows(["", ""]))
