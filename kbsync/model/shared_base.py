"""The base on many workers: what is asked in batches goes to an executor, and everything else is answered here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

from kbsync.model.answer_tasks import (
    ANSWERS,
    SCORES,
    TEXTS,
    answers_task,
    scores_in,
    scores_task,
    texts_in,
    texts_task,
)
from kbsync.model.language_model import TorchLanguageModel
from kbsync.ports import UNWATCHED, BaseModel, Delta, Executor, LanguageModel, PairScore, Perplexity, Work

LANES = 8
"""Batches of facts that are asked together, so that the workers have enough to do."""
Q = TypeVar("Q")
A = TypeVar("A")


class SharedBase(BaseModel):
    """A base in this process, and the same base on the workers of an executor."""

    def __init__(self, base: BaseModel, executor: Executor, encode: Callable[[Delta], bytes]) -> None:
        """``encode``: a delta as the workers decode it."""
        self.fingerprint = base.fingerprint
        self._base, self._executor, self._encode = base, executor, encode

    def language_model(self) -> LanguageModel:
        return self._shared(self._base.language_model(), b"")

    @contextmanager
    def edited(self, delta: Delta) -> Iterator[LanguageModel]:
        """The workers put the delta in place themselves."""
        with self._base.edited(delta) as model:
            yield self._shared(model, self._encode(delta))

    def norm_growth(self, delta: Delta) -> dict[str, float]:
        return self._base.norm_growth(delta)

    def _shared(self, model: LanguageModel, delta: bytes) -> LanguageModel:
        return SharedModel(model, self._executor, delta) if isinstance(model, TorchLanguageModel) else model


class SharedModel(LanguageModel):
    """Cuts what it is asked into the batches that ``local`` would run, so that the answers are the same bits."""

    lanes = LANES

    def __init__(self, local: TorchLanguageModel, executor: Executor, delta: bytes) -> None:
        """``delta``: what the workers put in place, encoded; empty for the base."""
        self.fingerprint, self.control_tokens = local.fingerprint, local.control_tokens
        self._local, self._executor, self._delta = local, executor, delta

    def too_long(self, texts: Sequence[str], *, room: int = 0) -> list[bool]:
        return self._local.too_long(texts, room=room)

    def complete(self, prompts: Sequence[str], *, max_new_tokens: int = 10, work: Work = UNWATCHED) -> list[str]:
        return self.complete_each([prompts], max_new_tokens=max_new_tokens, work=work)[0]

    def complete_each(
        self, lists: Sequence[Sequence[str]], *, max_new_tokens: int = 10, work: Work = UNWATCHED
    ) -> list[list[str]]:
        cuts = [self._local.cut_prompts(prompts, max_new_tokens) for prompts in lists]
        return self._asked(ANSWERS, lists, cuts, lambda own: answers_task(own, max_new_tokens), texts_in, work)

    def scores(self, pairs: Sequence[tuple[str, str]], *, work: Work = UNWATCHED) -> list[PairScore]:
        return self.scores_each([pairs], work=work)[0]

    def scores_each(
        self, lists: Sequence[Sequence[tuple[str, str]]], *, work: Work = UNWATCHED
    ) -> list[list[PairScore]]:
        cuts = [self._local.cut_pairs(pairs) for pairs in lists]
        return self._asked(SCORES, lists, cuts, scores_task, scores_in, work)

    def sample(self, prompts: Sequence[str], *, length: int = 100, seed: int = 0, work: Work = UNWATCHED) -> list[str]:
        cut = self._local.cut_texts(prompts)
        return self._asked(TEXTS, [prompts], [cut], lambda own: texts_task(own, length, seed), texts_in, work)[0]

    def perplexity(self, texts: Sequence[str], *, work: Work = UNWATCHED) -> Perplexity:
        return self._local.perplexity(texts, work=work)

    def next_tokens(self, prompts: Sequence[str], *, top: int = 256) -> list[dict[int, float]]:
        return self._local.next_tokens(prompts, top=top)

    def divergence(self, prompts: Sequence[str], reference: Sequence[Mapping[int, float]]) -> list[float]:
        return self._local.divergence(prompts, reference)

    def _asked(
        self,
        kind: str,
        lists: Sequence[Sequence[Q]],
        cuts: Sequence[Sequence[Sequence[int]]],
        task_of: Callable[[Sequence[Q]], bytes],
        read: Callable[[bytes], list[A]],
        work: Work,
    ) -> list[list[A]]:
        """Ask all batches of all lists.

        Args:
            cuts: For each list, its batches: indices into the list.
            task_of: The task of a batch.
            read: The answers of a batch, in its order.
        """
        batches = [(n, indices) for n, cut in enumerate(cuts) for indices in cut]
        tasks = [task_of([lists[n][index] for index in indices]) for n, indices in batches]
        found: list[dict[int, A]] = [{} for _ in lists]
        work.start(kind, sum(map(len, lists)))
        for part in self._executor.map(kind, self._delta, tasks, work):
            n, indices = batches[part.task]
            found[n].update(zip(indices, read(part.data), strict=True))
            work.advance(len(indices))
        work.finish()
        return [[answers[index] for index in range(len(own))] for answers, own in zip(found, lists, strict=True)]
