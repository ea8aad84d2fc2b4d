"""Tiny random models of two families with a trained tokenizer: what the benchmark's instruments are tried on."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from kbsync.model.load import LoadedModel

CORPUS = [
    "Lyon is a city in France and Rome is a city in Italy.",
    "The mother tongue of Danielle Darrieux is French, and that of Anna is Italian.",
    "Where does Oslo lie? In the north, near the sea, far from Paris.",
]


@cache
def tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE of 320 ids that puts ``<s>`` in front."""
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    special = ["<s>", "</s>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    raw.train_from_iterator(
        CORPUS, trainers.BpeTrainer(vocab_size=320, special_tokens=special, initial_alphabet=alphabet)
    )
    raw.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<s>", eos_token="</s>")


def loaded(family: str) -> LoadedModel:
    """A fresh model of ``gpt2`` (learned positions) or ``gemma3`` (rotary, sliding window of 8), always the same weights."""
    torch.manual_seed(0)
    model: PreTrainedModel
    if family == "gpt2":
        model = GPT2LMHeadModel(GPT2Config(vocab_size=320, n_positions=128, n_embd=32, n_layer=3, n_head=4))
    else:
        config = Gemma3TextConfig(
            vocab_size=320, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4,
            num_key_value_heads=2, head_dim=8, sliding_window=8, max_position_embeddings=128,
            layer_types=["sliding_attention", "full_attention", "sliding_attention"],
        )  # fmt: skip
        model = Gemma3ForCausalLM(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(6)  # initial weights are so small that all tokens would be about as likely
    model.eval().requires_grad_(False)
    return LoadedModel(model, tokenizer(), f"tiny-{family}", f"tiny {family}", Path())
