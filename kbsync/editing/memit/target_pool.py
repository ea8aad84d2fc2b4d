"""Facts whose prompts are made ready together: the loss of the target search and its gradient.

Source: MEMIT, section 4.2.1 and appendix B, equation 16; the KL and decay terms as in the public code.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kbsync.domain.recipe import Recipe
from kbsync.editing.common.prompts import TokenisedRewrite
from kbsync.editing.common.target_positions import target_positions
from kbsync.editing.common.vocabulary_head import VocabularyHead
from kbsync.editing.memit.delta_optimiser import DeltaOptimiser
from kbsync.editing.memit.insertion import Insertion


@dataclass(frozen=True, slots=True)
class Target:
    """A fact's target vector z = h₀ + δ."""

    z: Tensor
    """(sites, d), at least float32, on the CPU: what must be at the insertion's sites."""
    loss: float
    """The loss at the last step, in nats."""


@dataclass(frozen=True, slots=True)
class Pass:
    """One forward pass of the n active facts, with its graph."""

    delta: Tensor
    """δ (n, sites, d), the graph's leaf."""
    at_targets: Tensor
    """Final-norm outputs (k, d) before each of the k target tokens."""
    at_kl: Tensor
    """Final-norm outputs (n, d) at the KL prompts' subjects."""
    decay: Tensor
    """The decay term (n,)."""
    sites: Tensor
    """What is at the bare prompts' sites (n, sites, d), without a graph."""


class TargetPool:
    """Facts in the order of their suffix lengths: ``active`` ones are searched, those from ``_next`` on wait."""

    def __init__(
        self, rewrites: Sequence[TokenisedRewrite], recipe: Recipe, insertion: Insertion, head: VocabularyHead
    ) -> None:
        self._recipe, self._insertion, self._head = recipe, insertion, head
        self._rewrites = list(rewrites)
        self._per_fact = len(rewrites[0].prompts)
        self._all_prompts, sites = insertion.prepare([(p.ids[:-1], p.lookup) for r in rewrites for p in r.prompts])
        self._all_kl_prompts = insertion.prepare([(r.kl_prompt.key_ids, r.kl_prompt.lookup) for r in rewrites])[0]
        self._all_positions = target_positions([r.prompts for r in rewrites], from_lookup=True)
        dtype = torch.promote_types(insertion.decoder.dtype, torch.float32)
        self._optimiser = DeltaOptimiser(sites[:: self._per_fact].to(dtype), recipe)
        self._token_threshold = math.inf if recipe.token_threshold is None else recipe.token_threshold
        self._next = 0
        self.kl_before: list[Tensor] = []
        """Log-probabilities (vocabulary,) after the active facts' KL prompts without a change."""
        self._activate(torch.arange(0))

    @property
    def done(self) -> bool:
        return len(self.active) == 0 and self._next == len(self._rewrites)

    def admit(self, most: int) -> int:
        """Make up to ``most`` of the waiting facts active; returns how many."""
        fresh = torch.arange(self._next, min(len(self._rewrites), self._next + most))
        if len(fresh):
            self.kl_before += self._head.log_probs(self._all_kl_prompts.normed[fresh, 0])
            self._next += len(fresh)
            self._activate(torch.cat([self.active, fresh]))
        return len(fresh)

    def forward(self) -> Pass:
        """Run the active facts' prompts with their δ."""
        with torch.enable_grad():
            delta = self._optimiser.delta[self.active].requires_grad_()
            states, sites = self._insertion.run(self._prompts, delta.repeat_interleave(self._per_fact, dim=0))
            at_targets = states[self.positions.row, self.positions.column]
            at_kl = self._insertion.run(self._kl_prompts, delta)[0][:, 0]
            relative_norm = delta.norm(dim=-1) / self._optimiser.init_norm[self.active, ..., 0] ** 2
            decay = self._recipe.weight_decay * relative_norm.mean(dim=1)
        return Pass(delta, at_targets, at_kl, decay, sites[:: self._per_fact].detach().to(delta.dtype))

    def settle(
        self, passed: Pass, nll: Tensor, kl: Tensor, by_targets: Tensor, by_kl: Tensor
    ) -> Iterator[tuple[TokenisedRewrite, Target | None]]:
        """Take one step, and give away the facts whose search has ended; None for a loss that is not finite.

        Args:
            passed: What ``forward`` returned.
            nll: −log p of each target token of each prompt (k,).
            kl: The weighted KL terms (n,).
            by_targets: Gradient of all losses by ``passed.at_targets``.
            by_kl: The same by ``passed.at_kl``.
        """
        positions, active = self.positions, self.active
        fact_nll = torch.zeros_like(passed.decay).index_add_(
            0, positions.fact, (nll * positions.weight).to(passed.decay.dtype)
        )
        loss = fact_nll + kl + passed.decay.detach()
        max_token_nll = torch.zeros_like(loss).scatter_reduce_(0, positions.fact, nll.to(loss.dtype), "amax")
        outer = [by_targets, by_kl, torch.ones_like(passed.decay)]
        (gradient,) = torch.autograd.grad([passed.at_targets, passed.at_kl, passed.decay], [passed.delta], outer)
        self._optimiser.steps[active] += 1
        broken = ~torch.isfinite(loss) | ~torch.isfinite(passed.sites).flatten(1).all(dim=1)
        found = (loss < self._recipe.loss_threshold) & (max_token_nll < self._token_threshold)
        ended = broken | found | (self._optimiser.steps[active] == self._recipe.steps)
        self._optimiser.update(active, gradient)
        finished = [(i, self._rewrites[int(active[i])]) for i in ended.nonzero().flatten().tolist()]
        if finished:
            self.kl_before = [before for before, gone in zip(self.kl_before, ended.tolist(), strict=True) if not gone]
            self._activate(active[~ended])
        for i, rewrite in finished:
            yield rewrite, None if broken[i] else Target(passed.sites[i].cpu(), float(loss[i]))

    def _activate(self, active: Tensor) -> None:
        """Go on with the facts of these indices (n,), ascending."""
        self.active = active
        rows = (active[:, None] * self._per_fact + torch.arange(self._per_fact)).flatten()
        all_active = len(active) == len(self._rewrites)  # where there are few facts nothing is copied
        columns = max((self._rewrites[i].suffix_length for i in active.tolist()), default=1)
        self._prompts = self._all_prompts if all_active else self._all_prompts.select(rows, columns)
        self._kl_prompts = self._all_kl_prompts if all_active else self._all_kl_prompts.select(active)
        self.positions = self._all_positions.keep(active, self._per_fact)
        if self._next == len(self._rewrites) and not all_active:
            self._drop_finished()

    def _drop_finished(self) -> None:
        """None waits any more: keep only what belongs to the active facts, which are renumbered."""
        active = self.active
        self._all_prompts, self._all_kl_prompts = self._prompts, self._kl_prompts
        self._all_positions = self.positions
        self._optimiser.keep(active)
        self._rewrites = [self._rewrites[i] for i in active.tolist()]
        self._next, self.active = len(active), torch.arange(len(active))
