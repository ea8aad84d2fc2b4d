"""Small models of many families, from random weights, taught the facts of a small world."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast
from transformers.pytorch_utils import Conv1D

from kbsync.domain.errors import ModelError
from kbsync.model.decoder import Decoder, DecoderLayer
from kbsync.model.editable import editable
from kbsync.model.quiet import quiet
from tests.support.tiny_model import byte_level_tokenizer, least_loss

WIDTH, LAYERS, HEADS = 64, 4, 4
ROUNDS, BATCH, RATE = 120, 44, 4e-3
EXCESS = 0.02
"""Nats a token above the least possible loss at which the teaching ends."""
SPREAD = 0.1
"""Standard deviation of the first weights. The usual 0.02 is that of wide models: at this width all activations would
be nearly linear, and the keys of different subjects nearly dependent."""
SILENT = 2
"""Number of first layers in which attention writes nothing, as in ``tests.support.tiny_model``: what is known about a
subject leaves its position only above them, so the MLPs below hold it, as those of large models do."""

_LLAMA: Mapping[str, Any] = {
    "hidden_size": WIDTH,
    "intermediate_size": 4 * WIDTH,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
}
_WHOLE_HEADS = {**_LLAMA, "num_key_value_heads": HEADS}
_GPT: Mapping[str, Any] = {
    "n_embd": WIDTH,
    "n_layer": LAYERS,
    "n_head": HEADS,
    "n_positions": 128,
    "resid_pdrop": 0.0,
    "embd_pdrop": 0.0,
    "attn_pdrop": 0.0,
}
_GEMMA = {**_LLAMA, "head_dim": 16}
_EXPERTS = {**_LLAMA, "num_local_experts": 4, "num_experts": 4, "num_experts_per_tok": 2}
_ROUTED = {"n_routed_experts": 4, "num_experts_per_tok": 2, "n_shared_experts": 4, "first_k_dense_replace": 1}
_ROUTED |= {"n_group": 1, "topk_group": 1}
_LATENT = {"q_lora_rank": 32, "kv_lora_rank": 32, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 16}
_LATENT |= {"head_dim": 8}
_LINEAR = {"linear_num_value_heads": 4, "linear_num_key_heads": 4, "head_dim": 16}
_LINEAR |= {"linear_key_head_dim": 16, "linear_value_head_dim": 16}
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
    "qwen2_moe": {**_EXPERTS, "moe_intermediate_size": WIDTH, "shared_expert_intermediate_size": 4 * WIDTH},
    "deepseek_v3": {**_WHOLE_HEADS, **_LATENT, **_ROUTED, "moe_intermediate_size": WIDTH},
    "qwen3_5_text": {**_LLAMA, **_LINEAR, "layer_types": ["linear_attention", "full_attention"] * 2},
    "lfm2": {**_LLAMA, "layer_types": ["conv", "full_attention"] * 2, "block_auto_adjust_ff_dim": False},
    "mamba": {"hidden_size": WIDTH, "num_hidden_layers": LAYERS, "state_size": 8},
}
"""Name of the family as transformers calls it → the fields of its configuration."""


def make_model(family: str, sentences: Sequence[str], directory: Path) -> Path:
    """Make a model of a family, teach it the sentences, and save it with its tokenizer."""
    tokenizer = byte_level_tokenizer(list(sentences))
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(3)
        ends = {"bos_token_id": 0, "eos_token_id": 1, "vocab_size": len(tokenizer), "initializer_range": SPREAD}
        config = AutoConfig.for_model(family, **{**FAMILIES[family], **ends})
        auto: Any = AutoModelForCausalLM
        model = auto.from_config(config)
        decoder = _decoder(model)
        if decoder is not None:
            _silence(decoder.layers[:SILENT])
            _teach(model, tokenizer, sentences)
        model.save_pretrained(directory)
        tokenizer.save_pretrained(directory)
    return directory


def _decoder(model: Any) -> Decoder | None:
    """None for what is refused before anything is asked: it needs no teaching."""
    try:
        return editable(model.eval())
    except ModelError:
        return None


def _silence(layers: Sequence[DecoderLayer]) -> None:
    """Let the attention's last linear map write nothing, and never learn to; where it is what an edit changes, it may
    do both."""
    for layer in (layer for layer in layers if layer.down.module not in set(layer.attention.modules())):
        *_, last = (m for m in layer.attention.modules() if isinstance(m, nn.Linear | Conv1D))
        for weight in last.parameters():
            nn.init.zeros_(weight).requires_grad_(False)


def _teach(model: Any, tokenizer: PreTrainedTokenizerFast, sentences: Sequence[str]) -> None:
    """AdamW on batches in a fixed random order, rows padded on the right and not counted there."""
    rows = [[*tokenizer(sentence)["input_ids"], tokenizer.eos_token_id] for sentence in sentences]
    width = max(map(len, rows))
    ids = torch.tensor([row + [1] * (width - len(row)) for row in rows])
    labels = torch.tensor([row + [-100] * (width - len(row)) for row in rows])
    goal = least_loss(rows) + EXCESS
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=RATE, weight_decay=0.01, fused=True)
    model.train()
    for _ in range(ROUNDS):
        losses = []
        for batch in torch.split(torch.randperm(len(rows)), BATCH):
            loss = model(input_ids=ids[batch], labels=labels[batch], use_cache=False).loss
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            optimiser.step()
            losses.append(float(loss.detach()))
        if fmean(losses) < goal:
            break
    model.eval()
