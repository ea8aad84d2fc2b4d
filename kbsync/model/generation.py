"""Sampled text for fluency and consistency, the same for the same prompt and seed whatever else is in the batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerFast

from kbsync.domain.canonical import content_hash
from kbsync.model.tokens import encode
from kbsync.ports import UNWATCHED, Work


def last(keep: int) -> int | torch.Tensor:
    """The last ``keep`` places of each row (0: all) as a forward pass's ``logits_to_keep``.

    By index, for that copies the states: behind a slice of them the vocabulary projection took eight times as long.
    """
    return torch.arange(-keep, 0) if keep else 0


class Sampler:
    """Top-k sampling up to ``length`` tokens, prompt and special tokens included, past any end-of-text token.

    As the published evaluation does it: k = 5, 100 tokens, and the scored text begins with its prompt. Each prompt has
    its own random numbers, drawn from ``seed`` and the prompt.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
        *,
        length: int = 100,
        top_k: int = 5,
        seed: int = 0,
        batch: int = 16,
    ) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._length = length
        self._top_k = top_k
        self._seed = seed
        self._batch = batch

    def texts(self, prompts: Sequence[str], *, work: Work = UNWATCHED) -> list[str]:
        """Each prompt with its continuation, without special tokens. ``work`` advances by prompts."""
        encoded = [item.ids for item in encode(self._tokenizer, prompts)]
        order = sorted(range(len(prompts)), key=lambda index: len(encoded[index]))
        found: dict[int, str] = {}
        for start in range(0, len(order), self._batch):
            chosen = order[start : start + self._batch]
            rows = self._extend([encoded[i] for i in chosen], [self._noise(prompts[i]) for i in chosen])
            found.update(zip(chosen, self._tokenizer.batch_decode(rows, skip_special_tokens=True), strict=True))
            work.advance(len(chosen))
        return [found[index] for index in range(len(prompts))]

    def _noise(self, prompt: str) -> torch.Tensor:
        """Gumbel noise [length, k]: the largest of (logit + noise) is a draw from the softmax of the logits."""
        random = torch.Generator().manual_seed(int(content_hash([self._seed, prompt])[:15], 16))
        return -torch.empty(self._length, self._top_k).exponential_(generator=random).log()

    @torch.inference_mode()
    def _extend(self, prompts: Sequence[list[int]], noise: Sequence[torch.Tensor]) -> list[list[int]]:
        """Left-padded batch with a key-value cache; rows come back cut to ``length`` tokens, without padding."""
        device = self._model.device
        width = max(map(len, prompts))
        padding = [width - len(prompt) for prompt in prompts]
        tokens = torch.tensor([[0] * pad + list(p) for pad, p in zip(padding, prompts, strict=True)], device=device)
        mask = torch.tensor([[0] * pad + [1] * (width - pad) for pad in padding], device=device)
        draws = torch.stack(list(noise)).to(device)
        fresh, cache = tokens, DynamicCache(config=self._model.config)
        for step in range(self._length - min(map(len, prompts))):
            positions = (mask.cumsum(dim=1) - 1).clamp(min=0)[:, -fresh.shape[1] :]
            output = self._model(
                input_ids=fresh,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=last(1),
            )
            best, ids = output.logits[:, -1].float().topk(self._top_k)
            fresh = ids.gather(1, (best + draws[:, step]).argmax(dim=1, keepdim=True))
            tokens = torch.cat([tokens, fresh], dim=1)
            mask = torch.cat([mask, torch.ones_like(fresh)], dim=1)
        return [row[pad : pad + self._length] for row, pad in zip(tokens.tolist(), padding, strict=True)]
