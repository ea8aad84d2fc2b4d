from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.modules import module as hooks

from kbsync.domain.errors import ModelError
from kbsync.model.bounded_build import MODULES, NUMBERS, bounded_build


def test_a_model_of_the_size_of_its_weights_is_built() -> None:
    with bounded_build("x", tensors=2, numbers=8 * 8 + 8):
        assert nn.Sequential(nn.Linear(8, 8), nn.ReLU())(torch.ones(8)).shape == (8,)


def test_a_model_of_more_modules_or_numbers_than_its_weights_is_not() -> None:
    with (
        pytest.raises(ModelError, match=r"of x describes a larger model than its 1 tensors make"),
        bounded_build("x", 1, 1),
    ):
        nn.ModuleList(nn.ReLU() for _ in range(sum(MODULES) + 1))
    for register in ("register_parameter", "register_buffer"):
        huge = torch.empty(NUMBERS[0] + NUMBERS[1] * 8 + 1, device="meta")
        value = nn.Parameter(huge) if register == "register_parameter" else huge
        with pytest.raises(ModelError), bounded_build("x", 1, 8):
            getattr(nn.Module(), register)("a", value)


def test_nothing_is_bounded_afterwards() -> None:
    names = [f"_global_{kind}_registration_hooks" for kind in ("module", "parameter", "buffer")]
    before = [len(getattr(hooks, name)) for name in names]
    with pytest.raises(ModelError), bounded_build("x", 1, 1):
        nn.ModuleList(nn.ReLU() for _ in range(sum(MODULES) + 1))
    assert [len(getattr(hooks, name)) for name in names] == before
