"""The hash of a model in memory changes with all that an edit depends on, and with nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from kbsync.editing.interface.fingerprint import model_fingerprint
from tests.support.families import random_model, tokenizer


def test_it_is_that_of_the_same_weights_wherever_they_lie(tmp_path: Path) -> None:
    model = random_model("gpt2")
    model.save_pretrained(tmp_path)
    again = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert model_fingerprint(again, tokenizer()) == model_fingerprint(model, tokenizer())


@pytest.mark.parametrize("family", ["llama", "llama-tied"])
def test_one_bit_of_any_weight_is_another_model(family: str) -> None:
    model = random_model(family)
    seen = {model_fingerprint(model, tokenizer())}
    for number, parameter in enumerate(model.parameters(), start=1):
        with torch.no_grad():
            flat = parameter.view(-1)
            flat[-1] = torch.nextafter(flat[-1], torch.tensor(9.0))
        seen.add(model_fingerprint(model, tokenizer()))
        assert len(seen) == number + 1


def test_dtype_tokenizer_and_configuration_count() -> None:
    model = random_model("llama")
    plain = model_fingerprint(model, tokenizer())
    assert model_fingerprint(model, tokenizer(with_bos=False)) != plain
    assert model_fingerprint(random_model("llama", torch.bfloat16), tokenizer()) != plain
    model.config.rms_norm_eps = 1e-3
    assert model_fingerprint(model, tokenizer()) != plain
