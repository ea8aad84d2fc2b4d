"""Teacher-forced scores of (prompt, answer) pairs, token by token."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from kbsync.domain.errors import EditError
from kbsync.model.hooks import only
from kbsync.model.tokens import encode, split
from kbsync.ports import UNWATCHED, PairScore, Work

Tokens = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a pair's answer is predicted: input row, and the position before its first token."""

    row: Tokens
    start: int
    answer: Tokens


class PairScorer:
    """Scores pairs on a causal model with whatever weights it has at the time of the call.

    Text is encoded whole, prompt, a blank and the answer; the answer's tokens are those that reach past the prompt.
    The last of them is only predicted, never read; so both targets of a CounterFact prompt mostly share one input, and
    an input that begins another is not run at all. Rows of one length run together: no padding, and the vocabulary
    projection is computed only at positions that some row needs.
    """

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, *, batch_tokens: int = 1024) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._batch_tokens = batch_tokens

    def scores(self, pairs: Sequence[tuple[str, str]], *, work: Work = UNWATCHED) -> list[PairScore]:
        """One score per (prompt, answer), answers without their leading blank.

        ``work`` advances by pairs. Raises ``DataError`` where no token stands before the answer, ``EditError`` when the
        model's output is not finite.
        """
        places = self._places(pairs)
        rows = _maximal(place.row for place in places)
        waiting: dict[Tokens, list[int]] = defaultdict(list)
        for index, place in enumerate(places):
            waiting[rows[place.row]].append(index)
        found: dict[int, PairScore] = {}
        for batch in _batches(list(waiting), self._batch_tokens):
            wanted = [(row, places[index], index) for row, tokens in enumerate(batch) for index in waiting[tokens]]
            scores = self._run(batch, [(row, place) for row, place, _ in wanted])
            found.update(zip((index for _, _, index in wanted), scores, strict=True))
            work.advance(len(wanted))
        for index, (prompt, answer) in enumerate(pairs):
            if not math.isfinite(found[index].nll):
                raise EditError(f"The model gives {answer!r} after {prompt!r} a loss that is not finite.")
        return [found[index] for index in range(len(pairs))]

    def _places(self, pairs: Sequence[tuple[str, str]]) -> list[_Place]:
        answers = [(prompt, f" {answer}") for prompt, answer in pairs]
        places = []
        for item, pair in zip(encode(self._tokenizer, [a + b for a, b in answers]), answers, strict=True):
            start = len(item.ids) - split(item, *pair)
            places.append(_Place(tuple(item.ids[:-1]), start - 1, tuple(item.ids[start:])))
        return places

    @torch.inference_mode()
    def _run(self, batch: Sequence[Tokens], wanted: Sequence[tuple[int, _Place]]) -> list[PairScore]:
        """One forward of rows of equal length; logits only where some answer is predicted."""
        device = self._model.device
        spots = sorted({(row, place.start + i) for row, place in wanted for i in range(len(place.answer))})
        at = {spot: i for i, spot in enumerate(spots)}
        rows, columns = torch.tensor(spots, device=device).T
        head: nn.Module = self._model.get_output_embeddings()  # type: ignore[no-untyped-call]
        with only(head, rows, columns):
            output = self._model(input_ids=torch.tensor(batch, device=device), use_cache=False)
        scores = []
        for row, place in wanted:
            logits = output.logits[0, [at[row, place.start + i] for i in range(len(place.answer))]].float()
            answer = torch.tensor(place.answer, device=device)
            losses = torch.nn.functional.cross_entropy(logits, answer, reduction="none").double()
            scores.append(PairScore(float(losses.mean()), tuple((logits.argmax(dim=-1) == answer).tolist())))
        return scores


def _maximal(rows: Iterator[Tokens] | Sequence[Tokens]) -> dict[Tokens, Tokens]:
    """Map every row to the one to run in its place: itself, or a longer one that begins with it.

    In lexicographic order a row stands directly before those that begin with it.
    """
    found: dict[Tokens, Tokens] = {}
    last: Tokens = ()
    for row in sorted(set(rows), reverse=True):
        if last[: len(row)] != row:
            last = row
        found[row] = last
    return found


def _batches(rows: Sequence[Tokens], batch_tokens: int) -> Iterator[list[Tokens]]:
    """Rows of one length together, at most ``batch_tokens`` tokens (and at least one row) a batch; shortest first."""
    by_length: dict[int, list[Tokens]] = defaultdict(list)
    for row in rows:
        by_length[len(row)].append(row)
    for length in sorted(by_length):
        group, size = by_length[length], max(1, batch_tokens // length)
        yield from (group[i : i + size] for i in range(0, len(group), size))
