"""Factors as bytes: the same for the same factors, and anything else is told."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save

from kbsync.checkpoints.factors import decode, encode, hashes
from kbsync.model.delta import FactorDelta
from tests.support.delta_samples import make_delta


def test_the_same_factors_are_the_same_bytes() -> None:
    delta = make_delta()
    turned = {n: (left.t().contiguous().t(), right) for n, (left, right) in reversed(list(delta.factors.items()))}
    assert encode(FactorDelta(turned)) == encode(delta)
    assert hashes(FactorDelta(turned)) == hashes(delta)
    assert hashes(decode(encode(delta))) == hashes(delta)


def test_factor_hashes_tell_shapes_apart() -> None:
    flat = torch.arange(4.0)
    tall = FactorDelta({"w": (flat[:2].reshape(2, 1), flat[2:].reshape(1, 2))})
    wide = FactorDelta({"w": (flat[:2].reshape(1, 2), flat[2:].reshape(2, 1))})
    assert hashes(tall) != hashes(wide)


def test_factors_come_back_bit_for_bit() -> None:
    delta = make_delta()
    back = decode(encode(delta))
    assert back.parameters == delta.parameters
    for name in delta.parameters:
        for one, other in zip(back.factors[name], delta.factors[name], strict=True):
            assert one.dtype == torch.float32 and torch.equal(one, other)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"text", "is not a safetensors file"),
        (save({"w.left": torch.zeros(2, 1)}), "does not hold a left and a right factor"),
        (
            save({"w.left": torch.zeros(2, 1), "w.right": torch.zeros(1, 2), "v": torch.zeros(1)}),
            "does not hold a left",
        ),
        (save({"w.left": torch.zeros(2, 1), "w.right": torch.zeros(2, 2)}), "does not hold sound factors"),
    ],
)
def test_what_are_no_factors(data: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        decode(data)
