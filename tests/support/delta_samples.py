"""Low-rank changes of made-up matrices."""

from __future__ import annotations

import torch

from kbsync.model.delta import FactorDelta


def make_delta(seed: int = 0) -> FactorDelta:
    """Random factors of rank 2 for two matrices, the same for the same seed."""
    generator = torch.Generator().manual_seed(seed)
    return FactorDelta(
        {
            f"model.layers.{layer}.mlp.down_proj.weight": (
                torch.randn(6, 2, generator=generator),
                torch.randn(2, 4, generator=generator),
            )
            for layer in (10, 9)
        }
    )
