"""Text that the model itself samples, seeded, so it can be had again."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedTokenizerFast

from kbsync.model.decoder import Decoder


@torch.no_grad()
def sample(decoder: Decoder, prompts: Tensor, count: int, top_k: int, generator: torch.Generator) -> Tensor:
    """``count`` tokens after each prompt (batch, length), each drawn from the ``top_k`` likeliest.

    Returns (batch, length + count). An end-of-text token does not stop a row; callers cut there.
    """
    tokens, step, cache = prompts, prompts, DynamicCache()
    for _ in range(count):
        out = decoder.model.base_model(input_ids=step, past_key_values=cache, use_cache=True)
        logits = decoder.logits(out.last_hidden_state[:, -1]).float()
        best = logits.topk(min(top_k, logits.shape[-1]), dim=-1)
        drawn = torch.multinomial(best.values.softmax(-1).cpu(), 1, generator=generator).to(logits.device)
        step = best.indices.gather(1, drawn)
        tokens = torch.cat([tokens, step], dim=1)
    return tokens


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def opening(tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """What the tokenizer puts in front of every text: the start token, for models that demand one."""
    return [i for i in tokenizer("")["input_ids"] if i != tokenizer.eos_token_id or i == tokenizer.bos_token_id]
