"""Answers, scores and sampled texts as tasks for an executor (ADR 0030)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

from kbsync.domain.canonical import canonical_json
from kbsync.model.base import TorchBase
from kbsync.model.load import LoadedModel
from kbsync.ports import Delta, LanguageModel, PairScore, Worker

ANSWERS, SCORES, TEXTS = "answers", "scores", "texts"
"""The kinds of these tasks. What they share is the encoded delta of the edited model; empty for the base."""


def answers_task(prompts: Sequence[str], max_new_tokens: int) -> bytes:
    """For ``LanguageModel.complete``."""
    return canonical_json([list(prompts), max_new_tokens]).encode()


def scores_task(pairs: Sequence[tuple[str, str]]) -> bytes:
    """For ``LanguageModel.scores``."""
    return canonical_json([list(pair) for pair in pairs]).encode()


def texts_task(prompts: Sequence[str], length: int, seed: int) -> bytes:
    """For ``LanguageModel.sample``."""
    return canonical_json([list(prompts), length, seed]).encode()


def texts_in(part: bytes) -> list[str]:
    """What ``ANSWERS`` and ``TEXTS`` give."""
    return [str(text) for text in json.loads(part)]


def scores_in(part: bytes) -> list[PairScore]:
    """What ``SCORES`` give; JSON keeps every bit of a float."""
    return [PairScore(float(nll), tuple(map(bool, hits))) for nll, hits in json.loads(part)]


class AnswerWorker(Worker):
    """Asks the base, or the base with a delta in place, which stays there until another one is wanted."""

    def __init__(self, loaded: LoadedModel, decode: Callable[[bytes], Delta]) -> None:
        """``decode`` makes a delta of what the tasks share."""
        self._base, self._decode = TorchBase(loaded), decode
        self._in_place = ExitStack()
        self._shared = b""
        self._model: LanguageModel = self._base.language_model()

    def do(self, kind: str, shared: bytes, task: bytes, checkpoint: Callable[[], None]) -> Iterator[bytes]:
        """Yield the answers of the whole task."""
        checkpoint()
        self.put_in_place(shared)
        yield canonical_json(self._asked(kind, json.loads(task))).encode()

    def put_in_place(self, shared: bytes) -> None:
        """Ask the model with this delta from now on; empty: the base."""
        if shared == self._shared:
            return
        self._in_place.close()
        self._shared, self._model = b"", self._base.language_model()
        if shared:
            self._model = self._in_place.enter_context(self._base.edited(self._decode(shared)))
            self._shared = shared

    def _asked(self, kind: str, order: Any) -> Any:
        if kind == SCORES:
            return [[score.nll, score.hits] for score in self._model.scores([(p, a) for p, a in order])]
        if kind == TEXTS:
            prompts, length, seed = order
            return self._model.sample(prompts, length=length, seed=seed)
        prompts, most = order
        return self._model.complete(prompts, max_new_tokens=most)
