"""The steps of the target search: Adam or steepest descent on δ, then the clamp.

Source: the public code of MEMIT (Adam, and the clamp ‖δ‖ ≤ ``clamp``·‖h₀‖ after each step); steepest descent is ADR
0017.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from kbsync.domain.recipe import Recipe

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
"""Adam's constants (the published optimiser's defaults)."""


class DeltaOptimiser:
    """δ of N facts, each with its own state and its own number of steps.

    All of it lies where ``init`` lies, but the numbers of steps, which are read on the host.
    """

    def __init__(self, init: Tensor, recipe: Recipe) -> None:
        """``init``: h₀ (N, sites, d), at least float32."""
        self.delta = torch.zeros_like(init)
        """δ (N, sites, d)."""
        self.init_norm = init.norm(dim=-1, keepdim=True)
        """‖h₀‖ (N, sites, 1)."""
        self.steps = torch.zeros(len(init), dtype=torch.long)
        """Steps that each fact has taken (N,), on the CPU; the caller counts them."""
        self._recipe = recipe
        self._unit = (
            self.init_norm / math.sqrt(init.shape[-1]) if recipe.relative_step else torch.ones_like(self.init_norm)
        )
        self._mean, self._square = torch.zeros_like(init), torch.zeros_like(init)

    def update(self, facts: Tensor, steps: Tensor, gradient: Tensor) -> None:
        """One step of some facts.

        Args:
            facts: Their indices (n,), where δ lies.
            steps: How many steps they have taken with this one (n,), on the CPU.
            gradient: Of the loss by their δ (n, sites, d).
        """
        unit = self._unit[facts]
        scaled = gradient * unit
        direction = self._adam(facts, steps, scaled) if self._recipe.optimiser == "adam" else steepest(scaled)
        delta = self.delta[facts] - self._recipe.learning_rate * unit * direction
        limit = self._recipe.clamp * self.init_norm[facts]
        self.delta[facts] = delta * (limit / delta.norm(dim=-1, keepdim=True)).clamp(max=1.0)

    def keep(self, facts: Tensor) -> None:
        """Forget all facts but those of these indices, which are renumbered from 0."""
        self.delta, self.init_norm, self.steps = self.delta[facts], self.init_norm[facts], self.steps[facts]
        self._unit, self._mean, self._square = self._unit[facts], self._mean[facts], self._square[facts]

    def _adam(self, facts: Tensor, steps: Tensor, gradient: Tensor) -> Tensor:
        step = steps.double()[:, None, None]
        self._mean[facts] = self._mean[facts].lerp(gradient, 1 - BETA1)
        self._square[facts] = self._square[facts].lerp(gradient**2, 1 - BETA2)
        mean_bias, square_bias = torch.stack([1 - BETA1**step, 1 - BETA2**step]).to(gradient)
        direction: Tensor = (self._mean[facts] / mean_bias) / ((self._square[facts] / square_bias).sqrt() + EPSILON)
        return direction


def steepest(gradient: Tensor) -> Tensor:
    """Each fact's gradient (n, sites, d), all sites together, at the length of Adam's first step: ±1 in every entry.

    A gradient of zero stays zero.
    """
    length = math.sqrt(gradient[0].numel())
    least = length * torch.finfo(gradient.dtype).tiny  # keeps the factor finite
    factors: Tensor = length / gradient.flatten(1).norm(dim=1).clamp(min=least)
    return gradient * factors[:, None, None]
