"""Small untrained models of several architectures, with weights wide enough that no two logits are nearly equal."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from kbsync.model.language_model import TorchLanguageModel
from kbsync.model.quiet import quiet
from tests.support.tiny_model import byte_level_tokenizer, tiny_config

SENTENCES = [
    "The river rises in the hills and flows slowly to the sea.",
    "A bridge of stone carries the road over the valley.",
    "Iron becomes steel when a little carbon is left in it.",
    "Zürich and São Paulo are cities; Москва is one, too.",
]
ARCHITECTURES = ("llama", "gpt2", "gemma3")


@cache
def random_model(architecture: str, seed: int = 0) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """GPT-2 has no BOS and learned positions; Gemma 3 has a tied head and layers that see 12 tokens back only."""
    tokenizer = byte_level_tokenizer(SENTENCES, 400, with_bos=architecture != "gpt2")
    size = len(tokenizer)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if architecture == "llama":
            config = tiny_config(size)
            config.initializer_range = 0.2
            model: PreTrainedModel = LlamaForCausalLM(config)
        elif architecture == "gpt2":
            shape = {"n_positions": 128, "n_embd": 48, "n_layer": 3, "n_head": 4}
            model = GPT2LMHeadModel(
                GPT2Config(vocab_size=size, **shape, bos_token_id=0, eos_token_id=1, initializer_range=0.2)
            )
        else:
            model = Gemma3ForCausalLM(gemma3_config(size))
    return model.eval().requires_grad_(False), tokenizer


def gemma3_config(vocabulary: int) -> Gemma3TextConfig:
    return Gemma3TextConfig(
        vocab_size=vocabulary,
        hidden_size=48,
        intermediate_size=96,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=1,
        head_dim=16,
        sliding_window=12,
        layer_types=["sliding_attention", "sliding_attention", "full_attention"],
        max_position_embeddings=128,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
        initializer_range=0.2,
        query_pre_attn_scalar=16,
    )


def language_model(architecture: str) -> TorchLanguageModel:
    model, tokenizer = random_model(architecture)
    return TorchLanguageModel(model, tokenizer, f"random {architecture}")


def saved(architecture: str, directory: Path, **options: object) -> Path:
    """The model as a directory; ``options`` go to ``save_pretrained``."""
    model, tokenizer = random_model(architecture)
    with quiet():
        model.save_pretrained(directory, **options)
        tokenizer.save_pretrained(directory)
    return directory
