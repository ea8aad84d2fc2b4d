"""Text that the model itself samples: contexts, and a corpus where none is given. Seeded, so it can be had again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedTokenizerFast

from kbsync.model.decoder import Decoder

CORPUS_BATCH = 32
CORPUS_LENGTH = 128
CORPUS_TOP_K = 50


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


def sampled_corpus(
    decoder: Decoder, tokenizer: PreTrainedTokenizerFast, tokens: int, seed: int
) -> Iterator[list[list[int]]]:
    """Batches of sampled token rows, each with what the tokenizer puts in front, until ``tokens`` have been drawn.

    A row ends at its first end-of-text token. Models without a start token begin from the end-of-text token, which
    is how they saw documents begin.
    """
    generator = seeded(seed)
    start: Sequence[int] = opening(tokenizer) or [tokenizer.eos_token_id or 0]
    drawn = 0
    while drawn < tokens:
        prompts = torch.tensor([list(start)] * CORPUS_BATCH, device=decoder.model.device)
        rows = sample(decoder, prompts, CORPUS_LENGTH, CORPUS_TOP_K, generator).tolist()
        batch = [_until_end(row, len(start), tokenizer.eos_token_id) for row in rows]
        drawn += sum(len(row) - len(start) for row in batch)
        yield batch


def opening(tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """What the tokenizer puts in front of every text: the start token, for models that demand one."""
    return [i for i in tokenizer("")["input_ids"] if i != tokenizer.eos_token_id or i == tokenizer.bos_token_id]


def _until_end(row: list[int], begin: int, end: int | None) -> list[int]:
    for i in range(begin, len(row)):
        if row[i] == end:
            return row[:i]
    return row
