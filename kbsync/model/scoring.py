"""Teacher-forced scores of (prompt, answer) pairs, token by token."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from kbsync.domain.errors import DataError
from kbsync.domain.rewrite import joint
from kbsync.model.forward import Forward, require_finite
from kbsync.model.hooks import restrict_logits
from kbsync.model.tokens import encode, split
from kbsync.ports import UNWATCHED, PairScore, Work

BATCH_TOKENS = 1024
"""Most tokens of a batch."""

Tokens = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a pair's answer is predicted."""

    row: Tokens
    """What the model reads: all tokens of prompt and answer but the last."""
    start: int
    """The position in ``row`` before the answer's first token."""
    answer: Tokens

    @property
    def positions(self) -> range:
        """The positions in ``row`` whose predictions are read."""
        return range(self.start, self.start + len(self.answer))


class PairScorer:
    """Scores pairs on a causal model with whatever weights it has at the time of the call.

    Text is encoded whole: the prompt, a blank (``joint``) and the answer. The answer's tokens are those that reach past
    the prompt. The last of them is only predicted, never read, so both targets of a prompt mostly share one row, and a
    row that begins another is not run at all. Rows of one length run together, which needs no padding, and the
    vocabulary projection is computed only at positions that some pair needs.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
        *,
        batch_tokens: int = BATCH_TOKENS,
    ) -> None:
        self._forward = Forward(model)
        self._model = model
        self._tokenizer = tokenizer
        self._batch_tokens = batch_tokens

    def scores(self, pairs: Sequence[tuple[str, str]], *, work: Work = UNWATCHED) -> list[PairScore]:
        """One score for each (prompt, answer), answers without their leading blank. ``work`` advances by pairs.

        Raises:
            DataError: an answer is empty, or no token stands before it.
            ModelError: a text does not fit the model's context, or the model's predictions are not finite.
        """
        places = self._places(pairs)
        scores: dict[int, PairScore] = {}
        for batch, asked in self._asked(places):
            scored = self._run(batch, [(row, places[index]) for row, index in asked])
            scores.update(zip((index for _, index in asked), scored, strict=True))
            work.advance(len(asked))
        return [scores[index] for index in range(len(pairs))]

    def cut(self, pairs: Sequence[tuple[str, str]]) -> list[list[int]]:
        """The batches in which ``scores`` runs ``pairs``, as indices; raises as it does.

        Each batch alone is run as it is run among the others: with the same rows in the same order.
        """
        return [sorted(index for _, index in asked) for _, asked in self._asked(self._places(pairs))]

    def _asked(self, places: Sequence[_Place]) -> Iterator[tuple[list[Tokens], list[tuple[int, int]]]]:
        """Each batch of rows, with the pairs that are read in it: row and index of each."""
        longest = _maximal(place.row for place in places)
        served: dict[Tokens, list[int]] = defaultdict(list)
        for index, place in enumerate(places):
            served[longest[place.row]].append(index)
        needed = {row: len({p for index in served[row] for p in places[index].positions}) for row in served}
        for batch in self._batches(needed):
            yield batch, [(row, index) for row, tokens in enumerate(batch) for index in served[tokens]]

    def _places(self, pairs: Sequence[tuple[str, str]]) -> list[_Place]:
        if not all(answer for _, answer in pairs):
            raise DataError("An answer is empty, so it gives no token that could be scored.")
        places = []
        encoded = encode(self._tokenizer, [f"{prompt}{joint(prompt)}{answer}" for prompt, answer in pairs])
        for item, (prompt, answer) in zip(encoded, pairs, strict=True):
            self._forward.require_fits(item)
            start = len(item.ids) - split(item, prompt, f"{joint(prompt)}{answer}")
            places.append(_Place(tuple(item.ids[:-1]), start - 1, tuple(item.ids[start:])))
        return places

    def _batches(self, needed: Mapping[Tokens, int]) -> Iterator[list[Tokens]]:
        """Rows of one length, shortest first, within the bounds or alone; ``needed``: the number of a row's places."""
        by_length: dict[int, list[Tokens]] = defaultdict(list)
        for row in needed:
            by_length[len(row)].append(row)
        for length in sorted(by_length):
            batch: list[Tokens] = []
            places = 0
            for row in by_length[length]:
                too_long = (len(batch) + 1) * length > self._batch_tokens
                too_many = places + needed[row] > self._forward.places
                if batch and (too_long or too_many):
                    yield batch
                    batch, places = [], 0
                batch.append(row)
                places += needed[row]
            yield batch

    @torch.inference_mode()
    def _run(self, batch: Sequence[Tokens], asked: Sequence[tuple[int, _Place]]) -> list[PairScore]:
        """One forward pass of rows of equal length; ``asked`` names pairs by their row in the batch."""
        device = self._model.device
        spots = sorted({(row, position) for row, place in asked for position in place.positions})
        index_of = {spot: i for i, spot in enumerate(spots)}
        rows, columns = torch.tensor(spots, device=device).T
        head: nn.Module = self._model.get_output_embeddings()  # type: ignore[no-untyped-call]
        with restrict_logits(head, rows, columns):
            picked = self._forward.logits(torch.tensor(batch, device=device), keep=0)[0]
        lengths = [len(place.answer) for _, place in asked]
        read = [index_of[row, position] for row, place in asked for position in place.positions]
        answers = [token for _, place in asked for token in place.answer]
        parts = []
        for where, answer in torch.split(torch.tensor([read, answers], device=picked.device), lengths, dim=1):
            logits = picked[where].float()
            losses = torch.nn.functional.cross_entropy(logits, answer, reduction="none").double()
            parts.append(torch.stack([losses, (logits.argmax(dim=-1) == answer).double()]))
        found = torch.cat(parts, dim=1).cpu()  # one transfer for all pairs
        require_finite(found[0])
        return [
            PairScore(float(losses.mean()), tuple(hit == 1 for hit in hits.tolist()))
            for losses, hits in torch.split(found, lengths, dim=1)
        ]


def _maximal(rows: Iterable[Tokens]) -> dict[Tokens, Tokens]:
    """Map every row to the one to run in its place: itself, or a longer one that begins with it.

    In lexicographic order a row stands directly before those that begin with it.
    """
    longest: dict[Tokens, Tokens] = {}
    last: Tokens = ()
    for row in sorted(set(rows), reverse=True):
        if last[: len(row)] != row:
            last = row
        longest[row] = last
    return longest
