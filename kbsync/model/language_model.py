"""A causal language model that answers, in batches, on torch."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from kbsync.model.decoding import eos_ids, greedy, line_ends
from kbsync.model.forward import Forward, batches, require_finite
from kbsync.model.perplexity import PerplexityMeter
from kbsync.model.sampling import Sampler
from kbsync.model.scoring import PairScorer
from kbsync.model.tokens import Encoded, control_tokens, encode, spells
from kbsync.ports import UNWATCHED, LanguageModel, PairScore, Perplexity, Work

BATCH_ROWS = 128
"""Most prompts that are continued together."""
_AROUND = 8
"""Tokens that a tokenizer may put around a text."""
NEXT_ROWS = 16
"""Prompts whose next token is looked at together."""


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
        self.control_tokens = control_tokens(tokenizer)
        self._model = model
        self._tokenizer = tokenizer
        self._check = check
        self._forward = Forward(model)
        self._eos = eos_ids(model, tokenizer)
        self._ends_line = line_ends(tokenizer)

    def too_long(self, texts: Sequence[str], *, room: int = 0) -> list[bool]:
        """As the tokenizer counts; a text of fewer bytes than there are places is not tokenised, unless the tokenizer
        has more tokens than the model."""
        context, vocabulary = self._forward.context or sys.maxsize, self._forward.vocabulary
        doubtful = list(texts)
        if len(self._tokenizer) <= vocabulary:
            doubtful = [text for text in texts if len(text.encode()) + room + _AROUND > context]
        encoded = encode(self._tokenizer, doubtful, allow_empty=True)
        over = {e.text for e in encoded if len(e.ids) + room > context or max(e.ids, default=0) >= vocabulary}
        return [text in over for text in texts]

    def spells(self, name: str) -> bool:
        return spells(self._tokenizer, name, self._forward.vocabulary)

    def cut_prompts(self, prompts: Sequence[str], max_new_tokens: int) -> list[list[int]]:
        """The batches in which ``complete`` runs ``prompts``, as indices; raises what ``complete`` raises of texts."""
        self._check()
        encoded = encode(self._tokenizer, prompts)
        for item in encoded:
            self._forward.require_fits(item, max_new_tokens)
        return self._answer_batches(encoded)

    def cut_pairs(self, pairs: Sequence[tuple[str, str]]) -> list[list[int]]:
        """The same for ``scores``."""
        self._check()
        return PairScorer(self._model, self._tokenizer).cut(pairs)

    def cut_texts(self, prompts: Sequence[str]) -> list[list[int]]:
        """The same for ``sample``."""
        self._check()
        return Sampler(self._model, self._tokenizer).cut(prompts)

    def _answer_batches(self, encoded: Sequence[Encoded]) -> list[list[int]]:
        return list(batches([len(e.ids) for e in encoded], min(BATCH_ROWS, self._forward.places)))

    def complete(self, prompts: Sequence[str], *, max_new_tokens: int = 10, work: Work = UNWATCHED) -> list[str]:
        """Greedy continuations; a token that holds a newline is the last one (".\\n" is one token)."""
        self._check()
        encoded = encode(self._tokenizer, prompts)
        for item in encoded:
            self._forward.require_fits(item, max_new_tokens)
        work.start("answers", len(prompts))
        answers = [""] * len(prompts)
        for chosen in self._answer_batches(encoded):
            rows = [encoded[index].ids for index in chosen]
            new = greedy(self._model, rows, max_new_tokens, ends=self._ends_line, eos=self._eos)
            for index, tokens in zip(chosen, new, strict=True):
                answers[index] = self._text(encoded[index], tokens)
            work.advance(len(chosen))
        work.finish()
        return answers

    def scores(self, pairs: Sequence[tuple[str, str]], *, work: Work = UNWATCHED) -> list[PairScore]:
        """As ``PairScorer`` computes them."""
        self._check()
        work.start("scores", len(pairs))
        scores = PairScorer(self._model, self._tokenizer).scores(pairs, work=work)
        work.finish()
        return scores

    def perplexity(self, texts: Sequence[str], *, work: Work = UNWATCHED) -> Perplexity:
        """Every text is cut into windows of at most 512 tokens, each read from a fresh start (with BOS where the
        model has one; else a window's first token is not predicted)."""
        self._check()
        meter = PerplexityMeter(self._model, self._tokenizer)
        windows = meter.windows(texts)
        work.start("perplexity", len(windows))
        perplexity = meter.over(windows, work=work)
        work.finish()
        return perplexity

    def sample(self, prompts: Sequence[str], *, length: int = 100, seed: int = 0, work: Work = UNWATCHED) -> list[str]:
        """As ``Sampler`` draws: from the five likeliest tokens."""
        self._check()
        work.start("texts", len(prompts))
        texts = Sampler(self._model, self._tokenizer, length=length, seed=seed).texts(prompts, work=work)
        work.finish()
        return texts

    def next_tokens(self, prompts: Sequence[str], *, top: int = 256) -> list[dict[int, float]]:
        """Log-probabilities in float32, likeliest first."""
        likeliest: list[dict[int, float]] = []
        for logprobs in self._next(prompts):
            values, ids = logprobs.topk(min(top, len(logprobs)))
            likeliest.append(dict(zip(ids.tolist(), values.tolist(), strict=True)))
        return likeliest

    def divergence(self, prompts: Sequence[str], reference: Sequence[Mapping[int, float]]) -> list[float]:
        """Computed in float64 from log-probabilities in float32."""
        nats = []
        for logprobs, known in zip(self._next(prompts), reference, strict=True):
            ours = logprobs[list(known)].double().tolist()
            nats.append(_coarse_kl(list(known.values()), ours))
        return nats

    @torch.inference_mode()
    def _next(self, prompts: Sequence[str]) -> Iterator[Tensor]:
        """Log-probabilities (vocabulary,) of the next token after each prompt, in float32, in order."""
        self._check()
        encoded = encode(self._tokenizer, prompts)
        for item in encoded:
            self._forward.require_fits(item, 1)
        for begin in range(0, len(encoded), NEXT_ROWS):
            ids, mask = self._forward.padded([item.ids for item in encoded[begin : begin + NEXT_ROWS]])
            logits = self._forward.logits(ids, mask, keep=1)[:, -1].float()
            require_finite(logits)
            yield from logits.log_softmax(-1)

    def _text(self, prompt: Encoded, new: Sequence[int]) -> str:
        """The new tokens as text. Decoded behind the prompt: some tokenizers drop a blank at the very beginning."""
        before = self._decode(prompt.ids)
        return self._decode([*prompt.ids, *new])[len(before) :].split("\n", 1)[0]

    def _decode(self, ids: Sequence[int]) -> str:
        text = self._tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return str(text)


def _coarse_kl(reference: Sequence[float], ours: Sequence[float]) -> float:
    """KL in nats of two distributions given by the log-probabilities of the same tokens; all others count as one."""
    total = sum(math.exp(p) * (p - q) for p, q in zip(reference, ours, strict=True))
    rest, other = (max(0.0, 1 - sum(map(math.exp, logprobs))) for logprobs in (reference, ours))
    if rest > 1e-6:
        total += rest * math.log(rest / max(other, 1e-12))
    return max(0.0, total)
