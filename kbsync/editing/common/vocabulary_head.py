"""Losses over the vocabulary, each with its gradient from the same pass.

In models with large vocabularies the projection onto the vocabulary is most of the work (62 % of Gemma 3 270M's
parameters). Autograd would hold several tensors of (positions, vocabulary). Here one buffer is turned in place from
logits into probabilities into the gradient, block by block.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from kbsync.model.decoder import Decoder

BUFFER_BYTES = 64 * 2**20
VOCABULARY_BLOCK = 8192
"""Rows of the head's matrix in one product. As (vocabulary, states) such a product takes two thirds to three quarters
of the time of (states, vocabulary), and its result is still in the processor's cache when it is transposed."""


class VocabularyHead:
    """The decoder's output head as a matrix, with one buffer. Not for concurrent use.

    States are outputs of the final norm, (n, d). Losses and gradients come in the weights' dtype, at least float32.
    """

    def __init__(self, decoder: Decoder) -> None:
        self._weight = decoder.head_weight
        self._bias = decoder.head_bias
        self._factor = decoder.logit_factor
        self._cap = decoder.soft_cap
        self._dtype = torch.promote_types(self._weight.dtype, torch.float32)
        size = torch.empty((), dtype=self._dtype).element_size() * self._weight.shape[0]
        self._buffer = self._weight.new_empty(max(1, BUFFER_BYTES // size), self._weight.shape[0], dtype=self._dtype)

    @torch.no_grad()
    def log_probs(self, states: Tensor) -> list[Tensor]:
        """Natural log-probabilities (vocabulary,) after each state, each in memory of its own."""
        return [row.log_softmax(dim=-1) for b in self._blocks(len(states)) for row in self._logits(states[b])]

    @torch.no_grad()
    def likeliest(self, states: Tensor) -> Tensor:
        """The likeliest token (n,) after each state."""
        return torch.cat([self._logits(states[b]).argmax(dim=-1) for b in self._blocks(len(states))])

    @torch.no_grad()
    def nll(self, states: Tensor, tokens: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Negative log-likelihood of one token after each state.

        Args:
            tokens: Wanted ids (n,).
            weights: (n,), what each state's loss counts in the gradient.

        Returns:
            −log p(token) (n,) in nats, unweighted, and the gradient (n, d) of Σ weights·nll.
        """
        losses, gradients = [], []
        tokens, weights = tokens.to(states.device), weights.to(states.device, self._dtype)
        for block in self._blocks(len(states)):
            logits = self._logits(states[block])
            cap_slope = self._cap_slope(logits)
            losses.append(_nll(logits, tokens[block], weights[block]))
            gradients.append(self._back(logits, cap_slope))
        return torch.cat(losses), torch.cat(gradients)

    @torch.no_grad()
    def nll_and_kl(
        self, states: Tensor, tokens: Tensor, weights: Tensor, before: Sequence[Tensor], kl_weight: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Both losses of the target search, which share their products with the vocabulary: with few rows such a
        product takes the time of reading the matrix.

        Args:
            states: (n + m, d): first those before target tokens, then those of the KL prompts.
            tokens: Wanted ids (n,).
            weights: (n,), as for ``nll``.
            before: m log-probabilities (vocabulary,) that the KL prompts had without a change.
            kl_weight: Weight of the KL terms.

        Returns:
            nll (n,) as ``nll`` gives it; kl_weight·KL(p ‖ before) (m,), p being the distribution now (the direction
            is that of the published code); the gradient (n + m, d) of Σ weights·nll + Σ kl_weight·KL.
        """
        count, losses, divergences, gradients = len(tokens), [], [], []
        tokens, weights = tokens.to(states.device), weights.to(states.device, self._dtype)
        for block in self._blocks(len(states)):
            logits = self._logits(states[block])
            cap_slope = self._cap_slope(logits)
            wanted, others = tokens[block], slice(max(block.start - count, 0), max(block.stop - count, 0))
            losses.append(_nll(logits[: len(wanted)], wanted, weights[block]))
            divergences += [
                _kl(row, was, kl_weight) for row, was in zip(logits[len(wanted) :], before[others], strict=True)
            ]
            gradients.append(self._back(logits, cap_slope))
        return torch.cat(losses), torch.stack(divergences), torch.cat(gradients)

    def _blocks(self, count: int) -> Iterator[slice]:
        """Slices of equal size, so that no product is made for a few rows that were left over."""
        step = -(-count // -(-count // len(self._buffer))) if count else 1
        return (slice(begin, min(begin + step, count)) for begin in range(0, count, step))

    def _logits(self, states: Tensor) -> Tensor:
        """Logits in the buffer: valid until the next call."""
        out, columns = self._buffer[: len(states)], states.T.contiguous()
        for begin in range(0, len(self._weight), VOCABULARY_BLOCK):
            block = self._weight[begin : begin + VOCABULARY_BLOCK]
            out[:, begin : begin + len(block)] = (block @ columns).T
        if self._bias is not None:
            out.add_(self._bias)
        if self._factor != 1.0:
            out.mul_(self._factor)
        return out if self._cap is None else out.div_(self._cap).tanh_().mul_(self._cap)

    def _cap_slope(self, logits: Tensor) -> Tensor | None:
        """Derivative of the soft cap at capped logits; None without a cap."""
        return None if self._cap is None else 1 - (logits / self._cap) ** 2

    def _back(self, by_logits: Tensor, cap_slope: Tensor | None) -> Tensor:
        """The gradient by the states, from that by the logits, which is overwritten."""
        if cap_slope is not None:
            by_logits.mul_(cap_slope)
        if self._factor != 1.0:
            by_logits.mul_(self._factor)
        return by_logits.to(self._weight.dtype) @ self._weight


def _nll(logits: Tensor, tokens: Tensor, weights: Tensor) -> Tensor:
    """−log p(token) by row; ``logits`` become the gradient of Σ weights·nll."""
    wanted, factors = tokens[:, None], weights[:, None].to(logits.dtype)
    chosen = logits.gather(1, wanted)
    most = logits.amax(dim=-1, keepdim=True)
    powers = logits.sub_(most).exp_()
    total = powers.sum(dim=-1, keepdim=True)
    powers.mul_(factors / total).scatter_add_(1, wanted, -factors)
    return (total.log() + most - chosen)[:, 0]


def _kl(logits: Tensor, before: Tensor, weight: float) -> Tensor:
    """weight·KL(p ‖ before), a scalar; the one row of ``logits`` becomes its gradient."""
    most = logits.amax()
    powers = (logits - most).exp_()
    total = powers.sum()
    gap = logits.sub_(most + total.log()).sub_(before)
    kl = torch.dot(powers, gap) / total
    gap.sub_(kl).mul_(powers).mul_(weight / total)
    return weight * kl
