"""How fast this machine multiplies in a dtype."""

from __future__ import annotations

import time

import torch

ROWS, WIDTH = 256, 2048
"""Of the product that is timed: as many rows as a small batch has tokens, and matrices as wide as small models have."""
REPEATS = 3


@torch.no_grad()
def multiplication_seconds(dtype: torch.dtype, device: torch.device | str = "cpu") -> float:
    """Seconds of one product (256, 2048) · (2048, 2048), the fastest of three after one that is not counted."""
    states = torch.ones(ROWS, WIDTH, dtype=dtype, device=device)
    weight = torch.ones(WIDTH, WIDTH, dtype=dtype, device=device)
    seconds = []
    for _ in range(REPEATS + 1):
        began = time.perf_counter()
        (states @ weight)[0, 0].item()  # waits for a device that computes by itself
        seconds.append(time.perf_counter() - began)
    return min(seconds[1:])
