"""The time of a product."""

from __future__ import annotations

import torch

from kbsync.model.arithmetic import multiplication_seconds


def test_a_product_takes_some_time_in_every_dtype() -> None:
    assert all(0 < multiplication_seconds(dtype) < 60 for dtype in (torch.float32, torch.bfloat16))
