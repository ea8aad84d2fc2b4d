"""A causal language model that answers, in batches, on torch.

Rows are padded on the left and the padding is masked, so the last column is the next token's place in every row and
an answer does not depend on the other rows of its batch beyond floating-point rounding. The vocabulary projection is
the greater part of a small model (62 % of Gemma 3 270M), so it runs only where a prediction is read.
"""

from __future__ import annotations

import inspect
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerFast

from kbsync.domain.errors import DataError, ModelError
from kbsync.model.generation import Sampler, last
from kbsync.model.scoring import PairScorer
from kbsync.model.tokens import Encoded, encode, split
from kbsync.ports import UNWATCHED, LanguageModel, PairScore, Work

BATCH_ROWS = 128
BATCH_TOKENS = 8192
LOGITS = 2**25
"""Most logits held at once (128 MiB in float32): what bounds the memory beside the weights."""
NEXT_ROWS = 16
"""Prompts whose next token is looked at together."""
WINDOW = 512
"""Tokens of text that perplexity sees at once."""
MOST_NATS = 700.0
"""A ruined model may be further off than a float can say as perplexity; a gate still needs a number to refuse."""


class TorchLanguageModel(LanguageModel):
    """Answers with the weights that ``model`` holds at the time of the call.

    ``check`` is called before every use; it raises where those weights are not the ones of ``fingerprint``.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
        fingerprint: str,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self.fingerprint = fingerprint
        self._model = model
        self._tokenizer = tokenizer
        self._check = check
        config = model.config.get_text_config()
        self._context: int | None = getattr(config, "max_position_embeddings", None)
        self._places = max(16, min(4096, LOGITS // config.vocab_size))
        self._takes_positions = "position_ids" in inspect.signature(model.forward).parameters
        self._eos = _eos_ids(model, tokenizer)
        self._newline: dict[int, bool] = {}

    def complete(self, prompts: Sequence[str], *, max_new_tokens: int = 10, work: Work = UNWATCHED) -> list[str]:
        """Raises ``ModelError`` for a prompt that does not fit the context, ``DataError`` for one without any token."""
        self._check()
        encoded = encode(self._tokenizer, prompts)
        for item in encoded:
            self._check_length(item, max_new_tokens)
        work.start("answers", len(prompts))
        answers = [""] * len(prompts)
        for rows in _batches([len(e.ids) for e in encoded], min(BATCH_ROWS, self._places)):
            batch = [encoded[row] for row in rows]
            for row, item, new in zip(rows, batch, self._greedy(batch, max_new_tokens), strict=True):
                answers[row] = self._text(item, new)
            work.advance(len(rows))
        work.finish()
        return answers

    def logprobs(self, pairs: Sequence[tuple[str, str]], *, work: Work = UNWATCHED) -> list[float]:
        """Tokens are those of the whole text; a token belongs to the continuation when it reaches past the prompt.

        Raises ``ModelError`` for a text that does not fit the context, ``DataError`` for an empty continuation or
        for one without any token before it.
        """
        self._check()
        encoded = encode(self._tokenizer, [prompt + continuation for prompt, continuation in pairs])
        counts = [split(item, *pair) for item, pair in zip(encoded, pairs, strict=True)]
        for item in encoded:
            self._check_length(item, 0)
        work.start("log-probabilities", len(pairs))
        sums = [0.0] * len(pairs)
        # Rows with equally many scored tokens go together: so the projection computes nothing in vain.
        by_count = sorted(range(len(pairs)), key=lambda row: counts[row])
        for count, group in itertools.groupby(by_count, key=lambda row: counts[row]):
            members = list(group)
            limit = max(1, min(BATCH_ROWS, self._places // count))
            for places in _batches([len(encoded[row].ids) for row in members], limit):
                rows = [members[place] for place in places]
                scored = self._score([encoded[row].ids for row in rows], count)
                for row, value in zip(rows, scored, strict=True):
                    sums[row] = value
                work.advance(len(rows))
        work.finish()
        return sums

    def perplexity(self, texts: Sequence[str], *, work: Work = UNWATCHED) -> tuple[float, int]:
        """Every text is cut into windows of at most 512 tokens, each read from a fresh start (with BOS where the
        model has one; else a window's first token is not predicted). Raises ``DataError`` where nothing is predicted.
        """
        self._check()
        windows = list(self._windows(texts))
        work.start("perplexity", len(windows))
        total, count = 0.0, 0
        # Padding costs a projection at each of its places: windows go together only where they fit into one stretch.
        for rows in _batches([len(w) for w in windows], 8, self._places):
            nll, predicted = self._window_nll([windows[row] for row in rows])
            total, count = total + nll, count + predicted
            work.advance(len(rows))
        work.finish()
        if not count:
            raise DataError(
                "The texts hold no token that could be predicted.", next_step="Name texts of some sentences."
            )
        return math.exp(min(total / count, MOST_NATS)), count

    def scores(self, pairs: Sequence[tuple[str, str]], *, work: Work = UNWATCHED) -> list[PairScore]:
        """Raises as ``PairScorer.scores`` does."""
        self._check()
        work.start("scores", len(pairs))
        found = PairScorer(self._model, self._tokenizer).scores(pairs, work=work)
        work.finish()
        return found

    def sample(self, prompts: Sequence[str], *, length: int = 100, seed: int = 0, work: Work = UNWATCHED) -> list[str]:
        """As ``Sampler`` draws: from the five likeliest tokens."""
        self._check()
        work.start("texts", len(prompts))
        found = Sampler(self._model, self._tokenizer, length=length, seed=seed).texts(prompts, work=work)
        work.finish()
        return found

    def next_tokens(self, prompts: Sequence[str], *, top: int = 256) -> list[dict[int, float]]:
        """Raises as ``complete`` does."""
        found: list[dict[int, float]] = []
        for logprobs in self._next(prompts):
            values, ids = logprobs.topk(min(top, len(logprobs)))
            found.append(dict(zip(ids.tolist(), values.tolist(), strict=True)))
        return found

    def divergence(self, prompts: Sequence[str], reference: Sequence[Mapping[int, float]]) -> list[float]:
        """Raises as ``complete`` does."""
        found = []
        for logprobs, known in zip(self._next(prompts), reference, strict=True):
            ours = logprobs[list(known)].double().tolist()
            found.append(_coarse_kl(list(known.values()), ours))
        return found

    @torch.inference_mode()
    def _next(self, prompts: Sequence[str]) -> Iterator[Tensor]:
        """Log-probabilities (vocabulary,) of the next token after each prompt, in float32, in order."""
        self._check()
        encoded = encode(self._tokenizer, prompts)
        for item in encoded:
            self._check_length(item, 1)
        for begin in range(0, len(encoded), NEXT_ROWS):
            rows = [item.ids for item in encoded[begin : begin + NEXT_ROWS]]
            logits = self._forward(*self._padded(rows), None, keep=1)[:, -1].float()
            _require_finite(logits)
            yield from logits.log_softmax(-1)

    @torch.inference_mode()
    def _greedy(self, batch: Sequence[Encoded], max_new_tokens: int) -> list[list[int]]:
        """New token ids of each row, up to EOS (left out) or a token that holds a newline (kept: ".\\n" is one token).

        Rows that ended leave the batch, their keys and values with them.
        """
        ids, mask = self._padded([item.ids for item in batch])
        cache = DynamicCache(config=self._model.config)
        new: list[list[int]] = [[] for _ in batch]
        alive = list(range(len(batch)))
        for step in range(max_new_tokens):
            best, tokens = self._forward(ids, mask, cache, keep=1)[:, -1].max(-1)
            _require_finite(best)
            going = []
            for place, (row, token) in enumerate(zip(alive, tokens.tolist(), strict=True)):
                if token not in self._eos:
                    new[row].append(token)
                    if not self._has_newline(token):
                        going.append(place)
            if not going or step + 1 == max_new_tokens:
                break
            if len(going) < len(alive):
                chosen = torch.tensor(going, device=ids.device)
                cache.batch_select_indices(chosen)
                mask, tokens = mask[chosen], tokens[chosen]
                alive = [alive[place] for place in going]
            ids = tokens[:, None]
            mask = torch.cat([mask, mask.new_ones(len(alive), 1)], 1)
        return new

    @torch.inference_mode()
    def _score(self, rows: Sequence[list[int]], count: int) -> list[float]:
        """Sum of the log-probabilities of each row's last ``count`` tokens."""
        ids, mask = self._padded([row[:-1] for row in rows])
        logits = self._forward(ids, mask, None, keep=count)
        wanted = torch.tensor([row[-count:] for row in rows], device=ids.device)
        sums: list[float] = _picked(logits, wanted).double().sum(1).tolist()
        return sums

    @torch.inference_mode()
    def _window_nll(self, windows: Sequence[list[int]]) -> tuple[float, int]:
        """Summed negative log-likelihood of all tokens that have one before them, and their number.

        Padded on the right, where causal attention needs no mask; read in stretches over a key-value cache, so that
        only a stretch's logits are held at once.
        """
        length = max(len(w) for w in windows)
        ids = torch.tensor([w + [0] * (length - len(w)) for w in windows], device=self._model.device)
        lengths = torch.tensor([len(w) for w in windows], device=ids.device)
        cache = DynamicCache(config=self._model.config)
        stretch = max(1, self._places // len(windows))
        total = 0.0
        for start in range(0, length - 1, stretch):
            end = min(start + stretch, length - 1)
            logits = self._forward(ids[:, start:end], None, cache, keep=0)
            logprobs = _picked(logits, ids[:, start + 1 : end + 1])
            inside = torch.arange(start + 1, end + 1, device=ids.device) < lengths[:, None]
            total -= float(logprobs.double()[inside].sum())
        return total, sum(len(w) - 1 for w in windows)

    def _forward(self, ids: Tensor, mask: Tensor | None, cache: DynamicCache | None, keep: int) -> Tensor:
        """Logits (rows, the last ``keep`` places or all for 0, vocabulary) of ``ids`` behind what ``cache`` holds.

        ``mask`` covers cache and ids; a row's first unmasked token has position 0. None: nothing is padded on the left.
        """
        arguments: dict[str, Any] = {"input_ids": ids, "logits_to_keep": last(keep), "use_cache": cache is not None}
        if mask is not None:
            arguments["attention_mask"] = mask
            if self._takes_positions:
                arguments["position_ids"] = (mask.cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        logits: Tensor = self._model(**arguments, past_key_values=cache).logits
        return logits

    def _padded(self, rows: Sequence[list[int]]) -> tuple[Tensor, Tensor]:
        """Ids and mask, int64 (rows, longest), padded on the left; what stands in the padding is masked anyway."""
        length = max(len(row) for row in rows)
        ids = torch.tensor([[0] * (length - len(row)) + row for row in rows], device=self._model.device)
        mask = torch.tensor([[0] * (length - len(row)) + [1] * len(row) for row in rows], device=self._model.device)
        return ids, mask

    def _windows(self, texts: Sequence[str]) -> Iterator[list[int]]:
        """Token ids of each text in windows of at most ``WINDOW`` tokens and what stands before every text."""
        size = WINDOW if self._context is None else min(WINDOW, self._context - 1)
        for item in encode(self._tokenizer, texts, allow_empty=True):
            body = item.ids[item.prefix :]
            for start in range(0, len(body), size):
                yield item.ids[: item.prefix] + body[start : start + size]

    def _text(self, prompt: Encoded, new: Sequence[int]) -> str:
        """The new tokens as text. Decoded behind the prompt: some tokenizers drop a blank at the very beginning."""
        before = self._decode(prompt.ids)
        return self._decode([*prompt.ids, *new])[len(before) :].split("\n", 1)[0]

    def _decode(self, ids: Sequence[int]) -> str:
        text = self._tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return str(text)

    def _has_newline(self, token: int) -> bool:
        if token not in self._newline:
            self._newline[token] = "\n" in self._decode([token])
        return self._newline[token]

    def _check_length(self, item: Encoded, new: int) -> None:
        if self._context is not None and len(item.ids) + new > self._context:
            raise ModelError(
                f"The text {item.text[:60]!r}… has {len(item.ids)} tokens; with {new} new ones "
                f"that is more than the model's context of {self._context}.",
                next_step="Shorten it, or use a model with a longer context.",
            )


def _coarse_kl(reference: Sequence[float], ours: Sequence[float]) -> float:
    """KL in nats of two distributions given by the log-probabilities of the same tokens; all others count as one."""
    total = sum(math.exp(p) * (p - q) for p, q in zip(reference, ours, strict=True))
    rest, other = (max(0.0, 1 - sum(map(math.exp, logprobs))) for logprobs in (reference, ours))
    if rest > 1e-6:
        total += rest * math.log(rest / max(other, 1e-12))
    return max(0.0, total)


def _picked(logits: Tensor, wanted: Tensor) -> Tensor:
    """Log-probabilities (rows, places) of the ``wanted`` ids, computed in float32."""
    logits = logits.float()
    logprobs = logits.gather(-1, wanted[..., None])[..., 0] - logits.logsumexp(-1)
    _require_finite(logprobs)
    return logprobs


def _require_finite(values: Tensor) -> None:
    if not values.isfinite().all():
        raise ModelError(
            "The model's predictions are not finite numbers.",
            next_step="Check its weights; where they were edited, use a smaller clamp or a larger covariance weight.",
        )


def _batches(sizes: Sequence[int], rows: int, tokens: int = BATCH_TOKENS) -> Iterator[list[int]]:
    """Indices in order of size (then of input), at most ``rows`` at a time and ``tokens`` with their padding."""
    batch: list[int] = []
    for index in sorted(range(len(sizes)), key=lambda i: sizes[i]):
        if batch and (len(batch) == rows or (len(batch) + 1) * sizes[index] > tokens):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _eos_ids(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> set[int]:
    """Ids that end a text, by the generation settings and by the tokenizer."""
    settings = getattr(model, "generation_config", None)
    configured = getattr(settings, "eos_token_id", None)
    ids = configured if isinstance(configured, list) else [configured]
    return {i for i in [*ids, tokenizer.eos_token_id] if i is not None}
