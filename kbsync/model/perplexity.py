"""Perplexity of running text, read in windows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from kbsync.domain.errors import DataError
from kbsync.model.forward import Forward, batches, require_finite
from kbsync.model.tokens import encode
from kbsync.ports import UNWATCHED, Perplexity, Work

WINDOW = 512
"""Tokens of text that are seen at once."""
BATCH_WINDOWS = 8
MOST_NATS = 700.0
"""A ruined model may be further off than a float can say as perplexity; a gate still needs a number to refuse."""


class PerplexityMeter:
    """Measures ``model`` with the weights that it holds at the time of the call."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> None:
        self._forward = Forward(model)
        self._tokenizer = tokenizer

    def windows(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text in windows of at most ``WINDOW`` tokens, each with what stands before every text."""
        context = self._forward.context
        size = WINDOW if context is None else min(WINDOW, context - 1)
        windows = []
        for item in encode(self._tokenizer, texts, allow_empty=True):
            body = item.ids[item.prefix :]
            windows += [item.ids[: item.prefix] + body[start : start + size] for start in range(0, len(body), size)]
        return windows

    def over(self, windows: Sequence[list[int]], *, work: Work = UNWATCHED) -> Perplexity:
        """The perplexity over all ``windows`` together; ``work`` advances by windows.

        Every window is read from a fresh start; its first token is not predicted. Raises ``DataError`` where nothing is
        predicted, ``ModelError`` where the predictions are not finite.
        """
        total, count = 0.0, 0
        # Padding costs a projection at each of its places: windows go together only where they fit into one stretch.
        for chosen in batches([len(w) for w in windows], BATCH_WINDOWS, self._forward.places):
            nll, predicted = self._nll([windows[index] for index in chosen])
            total, count = total + nll, count + predicted
            work.advance(len(chosen))
        if not count:
            raise DataError(
                "The texts hold no token that could be predicted.", next_step="Name texts of some sentences."
            )
        return Perplexity(math.exp(min(total / count, MOST_NATS)), count)

    @torch.inference_mode()
    def _nll(self, windows: Sequence[list[int]]) -> tuple[float, int]:
        """Summed negative log-likelihood of all tokens that have one before them, in nats, and their number.

        Padded on the right, where causal attention needs no mask; read in stretches over a key-value cache, so that
        only a stretch's logits are held at once.
        """
        length = max(len(w) for w in windows)
        ids = torch.tensor([w + [0] * (length - len(w)) for w in windows], device=self._forward.model.device)
        lengths = torch.tensor([len(w) for w in windows], device=ids.device)
        cache = self._forward.cache()
        stretch = max(1, self._forward.places // len(windows))
        total = 0.0
        for start in range(0, length - 1, stretch):
            end = min(start + stretch, length - 1)
            logits = self._forward.logits(ids[:, start:end], cache=cache, keep=0)
            logprobs = _picked(logits, ids[:, start + 1 : end + 1])
            inside = torch.arange(start + 1, end + 1, device=ids.device) < lengths[:, None]
            total -= float(logprobs.double()[inside].sum())
        return total, sum(len(w) - 1 for w in windows)


def _picked(logits: Tensor, wanted: Tensor) -> Tensor:
    """Log-probabilities (rows, places) of the ``wanted`` ids, computed in float32."""
    logits = logits.float()
    logprobs = logits.gather(-1, wanted[..., None])[..., 0] - logits.logsumexp(-1)
    require_finite(logprobs)
    return logprobs
