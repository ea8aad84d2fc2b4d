"""Scores of one pair at a time, transcribed from the published evaluation."""

from __future__ import annotations

import torch
from torch import Tensor

from kbsync.domain.rewrite import joint
from kbsync.model.load import LoadedModel
from tests.support.random_models import random_model


def plain(model: LoadedModel, prompt: str, answer: str) -> tuple[float, list[bool]]:
    """Mean NLL of the tokens of the answer after the prompt, with the blank, and whether each is the argmax.

    The whole text is run with all logits, and the seam is where the encoded prompt ends (as in the published code).
    """
    prompt_ids = model.tokenizer(prompt)["input_ids"]
    ids = model.tokenizer(f"{prompt}{joint(prompt)}{answer}")["input_ids"]
    assert ids[: len(prompt_ids)] == prompt_ids
    with torch.no_grad():
        logits = model.model(torch.tensor([ids])).logits[0].double()
    losses, hits = [], []
    for position in range(len(prompt_ids), len(ids)):
        distribution = logits[position - 1].log_softmax(0)
        losses.append(-float(distribution[ids[position]]))
        hits.append(int(distribution.argmax()) == ids[position])
    return sum(losses) / len(losses), hits


def plain_logprobs(architecture: str, ids: list[int]) -> Tensor:
    """(tokens - 1,): log-probability of each id given those before, by one plain forward pass."""
    model, _ = random_model(architecture)
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([ids])).logits[0, :-1].double()
    return logits.log_softmax(-1).gather(-1, torch.tensor(ids[1:])[:, None])[:, 0]
