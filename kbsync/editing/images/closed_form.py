"""The closed form of unified concept editing (Gandikota et al., WACV 2024, equation 3)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kbsync.domain.errors import EditError
from kbsync.editing.common.cholesky import condition_of, factorise, inverse_times


@dataclass(frozen=True, slots=True)
class Directions:
    """What all edited matrices share: they read the same text states."""

    right: Tensor
    """Cᵀ M⁻¹ (n, d), float64, with M = C Cᵀ + w P Pᵀ + λI."""
    condition: float
    """Estimated condition number of M."""
    ridge: float
    """What was added to M's diagonal beside λ; 0 where M is positive definite as it is."""


def directions(concepts: Tensor, preserved: Tensor, *, identity_weight: float, preserved_weight: float) -> Directions:
    """Solve for the right factor.

    The published solution is W' = (Σ v* cᵀ + w Σ W p pᵀ + λW) M⁻¹, and W itself is (Σ W c cᵀ + w Σ W p pᵀ + λW) M⁻¹. So
    the change is Σ (v* − W c) cᵀ M⁻¹: one direction for each edited concept, whatever is preserved.

    Args:
        concepts: C (d, n), the states of the edited concepts.
        preserved: P (d, m), the states of the preserved concepts.
        identity_weight: λ, at least 0.
        preserved_weight: w, at least 0.

    Raises:
        EditError: A state is not finite, or M is not positive definite.
    """
    edited, kept = concepts.double(), preserved.double()
    if not (torch.isfinite(edited).all() and torch.isfinite(kept).all()):
        raise EditError("A text state holds non-finite numbers.", next_step="Look at the pipeline's text encoder.")
    moment = edited @ edited.T + preserved_weight * (kept @ kept.T)
    moment.diagonal().add_(identity_weight)
    factor = factorise(moment)
    return Directions(inverse_times(factor.lower, edited).T, condition_of(factor), factor.ridge)


def change(weight: Tensor, concepts: Tensor, guides: Tensor, shared: Directions) -> tuple[Tensor, Tensor]:
    """The change of one key or value matrix: W(G − C) times the shared directions.

    Args:
        weight: W (out, d).
        concepts: C (d, n).
        guides: G (d, n); v* = W g is what the concept is to give.
        shared: Of the same concepts.

    Returns:
        left (out, n) and right (n, d), float64.
    """
    return weight.double() @ (guides.double() - concepts.double()), shared.right
