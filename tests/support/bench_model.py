"""Tiny random models of two families, with a tokenizer of a few sentences, for the tests of the benchmarks."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from kbsync.model.load import LoadedModel
from tests.support.tiny_model import byte_level_tokenizer

CORPUS = [
    "Lyon is a city in France and Rome is a city in Italy.",
    "The mother tongue of Danielle Darrieux is French, and that of Anna is Italian.",
    "Where does Oslo lie? In the north, near the sea, far from Paris.",
]


@cache
def _tokenizer() -> PreTrainedTokenizerFast:
    return byte_level_tokenizer(CORPUS, 320)


def loaded(family: str) -> LoadedModel:
    """A fresh model of ``gpt2`` (learned positions) or ``gemma3`` (rotary, sliding window of 8), always the same
    weights."""
    torch.manual_seed(0)
    tokenizer = _tokenizer()
    model: PreTrainedModel
    if family == "gpt2":
        model = GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), n_positions=128, n_embd=32, n_layer=3, n_head=4))
    else:
        config = Gemma3TextConfig(
            vocab_size=len(tokenizer), hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4,
            num_key_value_heads=2, head_dim=8, sliding_window=8, max_position_embeddings=128,
            layer_types=["sliding_attention", "full_attention", "sliding_attention"],
        )  # fmt: skip
        model = Gemma3ForCausalLM(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(6)  # initial weights are so small that all tokens would be about as likely
    model.eval().requires_grad_(False)
    return LoadedModel(model, tokenizer, f"tiny-{family}", f"tiny {family}", Path())
