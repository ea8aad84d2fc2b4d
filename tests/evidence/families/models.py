"""Small models of many families, from random weights, taught the facts of a small world."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from kbsync.domain.errors import ModelError
from kbsync.model.editable import editable
from kbsync.model.quiet import quiet
from tests.support.tiny_model import byte_level_tokenizer

WIDTH, LAYERS, HEADS = 64, 4, 4
STEPS = 250
ENOUGH = 0.12
"""Nats a token at which the teaching ends: the names' first tokens can't be foretold."""

_LLAMA: Mapping[str, Any] = {
    "hidden_size": WIDTH,
    "intermediate_size": 2 * WIDTH,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
}
_WHOLE_HEADS = {**_LLAMA, "num_key_value_heads": HEADS}
_GPT: Mapping[str, Any] = {"n_embd": WIDTH, "n_layer": LAYERS, "n_head": HEADS, "n_positions": 128}
_GEMMA = {**_LLAMA, "head_dim": 16}
_EXPERTS = {**_LLAMA, "num_local_experts": 4, "num_experts": 4, "num_experts_per_tok": 2}
FAMILIES: Mapping[str, Mapping[str, Any]] = {
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "qwen2": _LLAMA,
    "qwen3": {**_LLAMA, "head_dim": 16},
    "gemma": _GEMMA,
    "gemma2": {**_GEMMA, "query_pre_attn_scalar": 16},
    "gemma3_text": {**_GEMMA, "query_pre_attn_scalar": 16},
    "olmo2": _LLAMA,
    "phi": _WHOLE_HEADS,
    "phi3": {**_LLAMA, "pad_token_id": 1},
    "gpt2": _GPT,
    "gptj": {**_GPT, "rotary_dim": 8},
    "gpt_neox": {k: v for k, v in _WHOLE_HEADS.items() if k != "num_key_value_heads"},
    "starcoder2": _LLAMA,
    "stablelm": _LLAMA,
    "smollm3": {**_LLAMA, "pad_token_id": 1},
    "glm": {**_LLAMA, "head_dim": 16, "pad_token_id": 1},
    "granite": {**_LLAMA, "residual_multiplier": 0.5, "logits_scaling": 2.0},
    "mixtral": _EXPERTS,
    "qwen3_moe": {**_EXPERTS, "moe_intermediate_size": WIDTH, "head_dim": 16},
    "mamba": {"hidden_size": WIDTH, "num_hidden_layers": LAYERS, "state_size": 8},
}
"""Name of the family as transformers calls it → the fields of its configuration."""


def make_model(family: str, sentences: Sequence[str], directory: Path) -> Path:
    """Make a model of a family, teach it the sentences, and save it with its tokenizer."""
    tokenizer = byte_level_tokenizer(list(sentences), 700)
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(3)
        ends = {"bos_token_id": 0, "eos_token_id": 1, "vocab_size": len(tokenizer)}
        config = AutoConfig.for_model(family, **{**FAMILIES[family], **ends})
        auto: Any = AutoModelForCausalLM
        model = auto.from_config(config)
        if _can_be_edited(model):
            _teach(model, tokenizer, sentences)
        model.save_pretrained(directory)
        tokenizer.save_pretrained(directory)
    return directory


def _can_be_edited(model: Any) -> bool:
    """What is refused before anything is asked needs no teaching."""
    try:
        editable(model.eval())
    except ModelError:
        return False
    return True


def _teach(model: Any, tokenizer: PreTrainedTokenizerFast, sentences: Sequence[str]) -> None:
    """Full batches of AdamW, rows padded on the right and not counted there."""
    rows = [[*tokenizer(sentence)["input_ids"], tokenizer.eos_token_id] for sentence in sentences]
    width = max(map(len, rows))
    ids = torch.tensor([row + [1] * (width - len(row)) for row in rows])
    labels = torch.tensor([row + [-100] * (width - len(row)) for row in rows])
    optimiser = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0.0)
    model.train()
    for step in range(STEPS):
        for group in optimiser.param_groups:
            group["lr"] = 4e-3 * min(1.0, (step + 1) / 20) * (1 - step / STEPS)
        loss = model(input_ids=ids, labels=labels, use_cache=False).loss
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        if float(loss.detach()) < ENOUGH:
            break
    model.eval()
