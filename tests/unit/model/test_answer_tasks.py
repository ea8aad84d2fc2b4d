"""Tasks of a model: what travels is read again as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from kbsync.checkpoints.factors import decode, encode
from kbsync.model.answer_tasks import (
    ANSWERS,
    SCORES,
    TEXTS,
    AnswerWorker,
    answers_task,
    scores_in,
    scores_task,
    texts_in,
    texts_task,
)
from kbsync.model.base import TorchBase
from kbsync.model.delta import FactorDelta
from kbsync.model.load import LoadedModel
from tests.support.families import random_model, tokenizer

PROMPTS = ["The capital of 東京 is", "A “{}”"]
DELTA = FactorDelta({"model.layers.1.mlp.down_proj.weight": (torch.ones(32, 1), torch.full((1, 48), 0.5))})


@pytest.fixture
def loaded() -> LoadedModel:
    return LoadedModel(random_model("llama").eval().requires_grad_(False), tokenizer(), "base", "here", Path())


def said(worker: AnswerWorker, kind: str, task: bytes, delta: bytes = b"") -> bytes:
    (part,) = worker.do(kind, delta, task, lambda: None)
    return part


def test_every_kind_of_task_gives_what_the_model_gives(loaded: LoadedModel) -> None:
    worker, model = AnswerWorker(loaded, decode), TorchBase(loaded).language_model()
    pairs = [(prompt, "Rome") for prompt in PROMPTS]
    answers = said(worker, ANSWERS, answers_task(PROMPTS, 3))
    assert texts_in(answers) == model.complete(PROMPTS, max_new_tokens=3)
    assert scores_in(said(worker, SCORES, scores_task(pairs))) == model.scores(pairs)
    texts = said(worker, TEXTS, texts_task(PROMPTS, 16, 4))
    assert texts_in(texts) == model.sample(PROMPTS, length=16, seed=4)


def test_a_delta_stays_in_place_until_another_one_is_wanted(loaded: LoadedModel) -> None:
    worker, task = AnswerWorker(loaded, decode), scores_task([(PROMPTS[0], "Rome")])
    weight = loaded.model.get_parameter("model.layers.1.mlp.down_proj.weight")
    base = said(worker, SCORES, task)
    edited = said(worker, SCORES, task, encode(DELTA))
    assert edited != base
    assert loaded.model.get_parameter("model.layers.1.mlp.down_proj.weight") is not weight
    assert said(worker, SCORES, task, encode(DELTA)) == edited
    assert said(worker, SCORES, task) == base
    assert loaded.model.get_parameter("model.layers.1.mlp.down_proj.weight") is weight
