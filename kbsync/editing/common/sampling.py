"""Text that the model itself samples from a seed, so that the same text can be had again."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from kbsync.model.decoder import Decoder
from kbsync.model.decoding import Continuation


@torch.no_grad()
def sample(decoder: Decoder, prompts: Tensor, count: int, top_k: int, generator: torch.Generator) -> Tensor:
    """Draw ``count`` tokens after each prompt, each from the ``top_k`` likeliest.

    An end-of-text token does not stop a row; callers cut there.

    Args:
        prompts: Token ids (batch, length), without padding.
        generator: On the CPU.

    Returns:
        Prompts and drawn tokens (batch, length + count).
    """
    batch, tokens = Continuation(decoder.model, prompts.tolist()), prompts
    for _ in range(count):
        logits = batch.logits().float()
        best = logits.topk(min(top_k, logits.shape[-1]), dim=-1)
        drawn = torch.multinomial(best.values.softmax(-1).cpu(), 1, generator=generator).to(logits.device)
        fresh = best.indices.gather(1, drawn)
        batch.append(fresh[:, 0])
        tokens = torch.cat([tokens, fresh], dim=1)
    return tokens


def seeded(seed: int) -> torch.Generator:
    """A generator on the CPU."""
    return torch.Generator().manual_seed(seed)


def opening_ids(tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """What the tokenizer puts in front of every text: the start token, for models that demand one."""
    return [i for i in tokenizer("")["input_ids"] if i != tokenizer.eos_token_id or i == tokenizer.bos_token_id]
