"""What a model says after every token of a text: the losses of the refinement, with gradients.

A text is a ``Prompt`` whose target is all that is looked at: the answer, or, for ordinary text, everything after its
first token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kbsync.editing.common.prompts import Prompt
from kbsync.editing.common.target_positions import TargetPositions, target_positions
from kbsync.model.decoder import Decoder
from kbsync.model.shared_start import by_start, shared_start, states_behind
from kbsync.ports import UNWATCHED, Work

TOP = 64
"""Number of a distribution's likeliest tokens that are kept; all others count as one."""
ROWS = 16
"""Texts in one pass that keeps distributions."""
HEAD_ROWS = 256
"""States that are taken to the vocabulary at once, where no gradient is wanted: of 16 texts together, three tensors of
(states, vocabulary) would be larger than a small model."""
_LEAST = 1e-6
"""Of the probability that the other tokens have together."""


@dataclass(frozen=True, slots=True)
class TargetNll:
    """−log p of each prompt's target, in nats."""

    mean: Tensor
    """(n,), over the target's tokens."""
    largest: Tensor
    """(n,), of one token."""


@dataclass(frozen=True, slots=True)
class Expected:
    """A text, and what the base says after its tokens."""

    prompt: Prompt
    logprobs: Tensor
    """(k, TOP), natural log-probabilities before each of the k target tokens."""
    tokens: Tensor
    """(k, TOP), their token ids."""


def target_nll(decoder: Decoder, prompts: Sequence[Prompt]) -> TargetNll:
    """−log p of the targets, with the weights and hooks that are in place."""
    return nll_of(*_logprobs(decoder, prompts))


def nll_of(logprobs: Tensor, positions: TargetPositions) -> TargetNll:
    """The same from log-probabilities (k, vocabulary) before each target token."""
    count, positions = int(positions.fact[-1]) + 1, positions.to(logprobs.device)
    nll = -logprobs.gather(1, positions.token[:, None])[:, 0]
    zeros = torch.zeros(count, dtype=nll.dtype, device=nll.device)
    mean = zeros.index_add(0, positions.fact, nll * positions.weight.to(nll.dtype))
    return TargetNll(mean, zeros.scatter_reduce(0, positions.fact, nll, "amax", include_self=False))


@torch.no_grad()
def expected(decoder: Decoder, prompts: Sequence[Prompt], work: Work = UNWATCHED) -> list[Expected]:
    """What the model says now after the tokens of each text, in the order of the texts.

    A request to stop is heard between two passes.
    """
    kept: list[Expected] = []
    most = min(TOP, decoder.head_weight.shape[0])
    for begin in range(0, len(prompts), ROWS):
        work.checkpoint()
        some = prompts[begin : begin + ROWS]
        states, positions = _states(decoder, some)
        parts = [_log_softmax(decoder, part).topk(most, dim=-1) for part in torch.split(states, HEAD_ROWS)]
        top = [torch.cat(tensors) for tensors in zip(*parts, strict=True)]
        lengths = positions.fact.bincount().tolist()
        for prompt, values, indices in zip(some, *(torch.split(t, lengths) for t in top), strict=True):
            kept.append(Expected(prompt, values.clone(), indices.clone()))
    return kept


def kl_to(decoder: Decoder, rows: Sequence[Expected]) -> Tensor:
    """KL(expected ‖ now), a scalar in nats: the mean over all looked-at tokens of all texts.

    Tokens that are not among the likeliest count as one, so it is a lower bound of the whole divergence.
    """
    return kl_of(_logprobs(decoder, [row.prompt for row in rows])[0], rows)


def kl_of(logprobs: Tensor, rows: Sequence[Expected]) -> Tensor:
    """The same from log-probabilities (k, vocabulary) before all looked-at tokens, in the order of the texts."""
    before, tokens = (torch.cat(parts) for parts in zip(*((r.logprobs, r.tokens) for r in rows), strict=True))
    now, p = logprobs.gather(1, tokens), before.exp()
    others, others_now = ((1 - q.sum(dim=-1)).clamp(min=_LEAST) for q in (p, now.exp()))
    kl: Tensor = (p * (before - now)).sum(dim=-1) + others * (others.log() - others_now.log())
    return kl.mean()


def _logprobs(decoder: Decoder, prompts: Sequence[Prompt]) -> tuple[Tensor, TargetPositions]:
    """Log-probabilities (k, vocabulary) before each target token of all prompts, and where they were read."""
    states, positions = _states(decoder, prompts)
    return _log_softmax(decoder, states), positions


def _log_softmax(decoder: Decoder, states: Tensor) -> Tensor:
    logits = decoder.logits(states)
    return logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(dim=-1)


def _states(decoder: Decoder, prompts: Sequence[Prompt]) -> tuple[Tensor, TargetPositions]:
    """The final norm's outputs (k, d) before each target token of all prompts, and where they were read."""
    positions = target_positions([(p,) for p in prompts], from_lookup=False)
    groups = by_start([prompt.ids[: prompt.target] for prompt in prompts])
    states = torch.cat([_at_targets(decoder, prompts, positions, group) for group in groups])
    if len(groups) > 1:
        entries = torch.cat([_entries(positions, group) for group in groups])
        states = states[entries.argsort().to(states.device)]
    return states, positions


def _entries(positions: TargetPositions, group: Sequence[int]) -> Tensor:
    """Indices of the positions that lie in the prompts of a group."""
    return torch.isin(positions.row, torch.tensor(group)).nonzero().flatten()


def _at_targets(
    decoder: Decoder, prompts: Sequence[Prompt], positions: TargetPositions, group: Sequence[int]
) -> Tensor:
    """The final norm's outputs (k, d) before each target token of the prompts of a group."""
    some = [prompts[i] for i in group]
    start = shared_start([p.ids for p in some], min(p.target for p in some) - 1)
    states = states_behind(decoder, [p.ids for p in some], start)
    entries = _entries(positions, group)
    row = torch.full((len(prompts),), -1).index_copy(0, torch.tensor(group), torch.arange(len(group)))
    places = torch.stack([row[positions.row[entries]], positions.column[entries] - start]).to(states.device)
    at: Tensor = states[places[0], places[1]]
    return at
