"""Sampled text for fluency and consistency, the same for the same prompt and seed whatever else is in the batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from kbsync.domain.canonical import content_hash
from kbsync.model.decoding import Continuation
from kbsync.model.tokens import encode
from kbsync.ports import UNWATCHED, Work

BATCH_ROWS = 16
TOP_K = 5


class Sampler:
    """Top-k sampling up to ``length`` tokens, prompt and special tokens included, past any end-of-text token.

    As the published evaluation does it: k = 5, 100 tokens, and the scored text begins with its prompt (Meng et al.,
    ROME, appendix on evaluation). Each prompt has its own random numbers, drawn from ``seed`` and the prompt.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
        *,
        length: int = 100,
        seed: int = 0,
        batch: int = BATCH_ROWS,
    ) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._length = length
        self._seed = seed
        self._batch = batch

    def texts(self, prompts: Sequence[str], *, work: Work = UNWATCHED) -> list[str]:
        """Each prompt with its continuation, without special tokens. ``work`` advances by prompts.

        Raises ``DataError`` for a prompt without any token.
        """
        encoded = self._encoded(prompts)
        texts: dict[int, str] = {}
        for chosen in self._batches(encoded):
            rows = self._extend([encoded[i] for i in chosen], [self._noise(prompts[i]) for i in chosen])
            texts.update(zip(chosen, self._tokenizer.batch_decode(rows, skip_special_tokens=True), strict=True))
            work.advance(len(chosen))
        return [texts[index] for index in range(len(prompts))]

    def cut(self, prompts: Sequence[str]) -> list[list[int]]:
        """The batches in which ``texts`` runs ``prompts``, as indices; raises as it does."""
        return list(self._batches(self._encoded(prompts)))

    def _encoded(self, prompts: Sequence[str]) -> list[list[int]]:
        return [item.ids for item in encode(self._tokenizer, prompts)]

    def _batches(self, encoded: Sequence[list[int]]) -> Iterator[list[int]]:
        order = sorted(range(len(encoded)), key=lambda index: len(encoded[index]))
        return (order[start : start + self._batch] for start in range(0, len(order), self._batch))

    def _noise(self, prompt: str) -> Tensor:
        """Gumbel noise (length, k): the largest of (logit + noise) is a draw from the softmax of the logits."""
        generator = torch.Generator().manual_seed(int(content_hash([self._seed, prompt])[:15], 16))
        return -torch.empty(self._length, TOP_K).exponential_(generator=generator).log()

    @torch.inference_mode()
    def _extend(self, prompts: Sequence[list[int]], noise: Sequence[Tensor]) -> list[list[int]]:
        """Rows of ``length`` tokens that begin with the prompts; ``noise`` is (length, k) for each."""
        batch = Continuation(self._model, prompts)
        draws = torch.stack(list(noise)).to(self._model.device)
        chosen = []
        for step in range(self._length - min(map(len, prompts))):
            best, ids = batch.logits().float().topk(TOP_K)
            tokens = ids.gather(1, (best + draws[:, step]).argmax(dim=1, keepdim=True))[:, 0]
            batch.append(tokens)
            chosen.append(tokens)
        new = torch.stack(chosen, dim=1).tolist() if chosen else [[] for _ in prompts]
        return [[*prompt, *more][: self._length] for prompt, more in zip(prompts, new, strict=True)]
