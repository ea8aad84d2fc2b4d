"""The null space of ordinary text's keys: a change within it hardly disturbs ordinary text (AlphaEdit, Fang et al.,
ICLR 2025, section 3.2).

The paper takes the eigenvectors of K₀K₀ᵀ whose eigenvalues are under a fixed bound (10⁻²). No such bound fits every
model, because the norms of two models' keys may differ a thousandfold. Here the null space is spanned by those
eigenvectors of C with the smallest eigenvalues that together hold at most a given share of C's trace. So the change
acts on at most that share, on average, of the squared length of an ordinary key, whatever the model.
"""

from __future__ import annotations

import torch
from torch import Tensor

from kbsync.domain.errors import EditError
from kbsync.editing.common.cholesky import factorise


def null_space(covariance: Tensor, share: float) -> Tensor:
    """Orthonormal basis of the null space.

    Args:
        covariance: C (m, m).
        share: Of C's trace, above 0 and below 1.

    Returns:
        (m, q), float64, in the order of rising eigenvalues.

    Raises:
        EditError: The matrix is no second moment, or no single direction holds as little as ``share``.
    """
    factorise(covariance)  # refuses what is no second moment
    values, vectors = torch.linalg.eigh(covariance.double())
    held = values.clamp(min=0).cumsum(0) / values.clamp(min=0).sum()
    count = int((held <= share).sum())
    if count == 0:
        raise EditError(
            f"No direction of the key space holds as little as {share:g} of the covariance's trace.",
            next_step="Raise the recipe's null_space_share, or take the algorithm memit.",
        )
    basis: Tensor = vectors[:, :count].contiguous()
    return basis
