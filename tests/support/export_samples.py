"""Tiny random models, in memory and as files, and changes to one of their matrices, for tests of exports."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from kbsync.model.delta import FactorDelta
from kbsync.model.load import LoadedModel

WORDS = ["<unk>", "<eos>", *["the", "head", "of", "state", "France", "Germany", "is", "Paris", "Berlin"]]
IDS = torch.tensor([[2, 3, 4, 5, 6, 8, 9, 1]])


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, unk_token="<unk>", eos_token="<eos>"
    )


def loaded_model(kind: str, dtype: torch.dtype) -> tuple[LoadedModel, str, tuple[int, int]]:
    """A random model, the name of the parameter to edit, and its (out, in)."""
    torch.manual_seed(0)
    model: PreTrainedModel
    if kind == "gpt2":
        model = GPT2LMHeadModel(GPT2Config(vocab_size=len(WORDS), n_embd=16, n_layer=2, n_head=2, n_positions=32))
        name = "transformer.h.1.mlp.c_proj.weight"
    else:
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(WORDS),
                hidden_size=16,
                intermediate_size=64,
                num_hidden_layers=2,
                num_attention_heads=2,
                num_key_value_heads=1,
                max_position_embeddings=32,
                tie_word_embeddings=kind == "tied llama",
            )
        )
        name = "model.layers.1.mlp.down_proj.weight"
    model.to(dtype).eval().requires_grad_(False)  # type: ignore[arg-type]
    return LoadedModel(model, tiny_tokenizer(), "f" * 64, kind, Path("nowhere")), name, (16, 64)


def make_delta(name: str, shape: tuple[int, int]) -> FactorDelta:
    generator = torch.Generator().manual_seed(1)
    out, width = shape
    return FactorDelta(
        {name: (torch.randn(out, 3, generator=generator), torch.randn(3, width, generator=generator) / 8)}
    )


def on_disk(
    directory: Path, kind: str, dtype: torch.dtype, shard: str = "5GB"
) -> tuple[LoadedModel, str, tuple[int, int]]:
    """The same model with its files in ``directory``."""
    loaded, name, shape = loaded_model(kind, dtype)
    loaded.model.save_pretrained(directory, max_shard_size=shard)
    loaded.tokenizer.save_pretrained(directory)
    return replace(loaded, directory=directory), name, shape
