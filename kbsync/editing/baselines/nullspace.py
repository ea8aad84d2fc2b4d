"""The null space of ordinary text's keys: where a change does them next to no harm (AlphaEdit, Fang et al., ICLR 2025,
section 3.2).

The threshold rule. The paper takes the eigenvectors of K₀K₀ᵀ with eigenvalues under a fixed bound (10⁻²), which does not
travel: keys of two models differ a thousandfold in norm. Here the null space is spanned by the eigenvectors of C with the
smallest eigenvalues, as many as together hold at most a share of C's trace. So of an ordinary key's squared length at
most that share, on average, is seen by the change, whatever the model.
"""

from __future__ import annotations

import torch
from torch import Tensor

from kbsync.domain.errors import EditError
from kbsync.editing.solve import factorise


def null_space(covariance: Tensor, share: float) -> Tensor:
    """Orthonormal basis (m, q), float64, of the null space of a second moment (m, m); ascending eigenvalues.

    Raises ``EditError`` for a matrix that is no second moment, and where not even one direction is free.
    """
    factorise(covariance)
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
