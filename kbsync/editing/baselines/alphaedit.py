"""AlphaEdit: each change is held to the null space of ordinary text's keys (Fang et al., ICLR 2025)."""

from __future__ import annotations

import torch
from torch import Tensor

from kbsync.domain.recipe import Recipe
from kbsync.editing.baselines.null_space import null_space
from kbsync.editing.baselines.sequential import PastKeys, SequentialEditor


class AlphaEditor(SequentialEditor):
    """Δ = R KᵀP (Kₚ KₚᵀP + K KᵀP + L·I)⁻¹, with L the recipe's ``covariance_weight`` and P the projection onto the null
    space (equation 14). It is solved in the null space's coordinates, where P is the identity."""

    def _past(self, covariance: Tensor, recipe: Recipe) -> PastKeys:
        basis = null_space(covariance, recipe.null_space_share)
        return PastKeys(recipe.covariance_weight * torch.eye(basis.shape[1], dtype=torch.float64), basis)
