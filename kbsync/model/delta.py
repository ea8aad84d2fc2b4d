"""Low-rank changes of weights.

A change is added to a copy of the weight, and afterwards the original tensor is put back: nothing is ever subtracted,
so the base's weights are the same bits again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from kbsync.domain.errors import EditError
from kbsync.ports import Delta


class FactorDelta(Delta):
    """W' = W + left @ right for each of some parameters."""

    def __init__(self, factors: Mapping[str, tuple[Tensor, Tensor]]) -> None:
        """Take the factors as they are.

        Args:
            factors: parameter name → left (out, r) and right (r, in), float32 on the CPU. The orientation is always
                (out, in), also for weights that are stored the other way round (Conv1D).

        Raises:
            EditError: the factors don't fit together, are not float32, or hold non-finite numbers.
        """
        for name, (left, right) in factors.items():
            if left.ndim != 2 or right.ndim != 2 or left.shape[1] != right.shape[0]:
                raise EditError(f"The factors of {name} don't fit: {tuple(left.shape)} times {tuple(right.shape)}.")
            if left.dtype != torch.float32 or right.dtype != torch.float32:
                raise EditError(f"The factors of {name} are not float32.")
            if not (torch.isfinite(left).all() and torch.isfinite(right).all()):
                raise EditError(f"The factors of {name} hold non-finite numbers.")
        self._factors = {name: factors[name] for name in sorted(factors)}

    @property
    def parameters(self) -> tuple[str, ...]:
        return tuple(self._factors)

    @property
    def factors(self) -> Mapping[str, tuple[Tensor, Tensor]]:
        """Parameter name → left (out, r) and right (r, in), sorted by name."""
        return self._factors


@contextmanager
def applied(model: nn.Module, delta: FactorDelta) -> Iterator[None]:
    """Inside the block the model computes with W + left @ right; afterwards the same tensors as before are in place.

    The sum is taken in float64, rounded to the weight's dtype, and checked before any module uses it. A parameter that
    several modules share is replaced in all of them.

    Raises:
        EditError: a parameter is missing, has another shape, or would get non-finite numbers.
    """
    planned = [
        (owner, key, original, edited)
        for name in delta.parameters
        for owner, key, original, edited in _replacements(model, name, *delta.factors[name])
    ]
    try:
        for owner, key, _, edited in planned:
            setattr(owner, key, edited)
        yield
    finally:
        for owner, key, original, _ in planned:
            setattr(owner, key, original)


def norm_growth(model: nn.Module, delta: FactorDelta) -> dict[str, float]:
    """‖W + Δ‖ / ‖W‖ − 1 (Frobenius, in float64) by parameter; 0 for a weight of norm 0. Raises as ``applied`` does."""
    grown = {}
    for name in delta.parameters:
        _, _, original, edited = _replacements(model, name, *delta.factors[name])[0]
        norm = float(original.detach().double().norm())
        grown[name] = float(edited.detach().double().norm()) / norm - 1 if norm else 0.0
    return grown


def edited_weight(module: nn.Module, stored: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """Compute W + left @ right in float64.

    Args:
        module: The module that owns the weight; it tells how the weight is stored.
        stored: The weight as it is stored; it is only read.
        left: (out, r).
        right: (r, in).

    Returns:
        A new tensor in the layout, dtype and device of ``stored``.
    """
    change = left.double() @ right.double()
    if isinstance(module, Conv1D):
        change = change.T
    return (stored.double() + change.to(stored.device)).to(stored.dtype)


def _replacements(
    model: nn.Module, name: str, left: Tensor, right: Tensor
) -> list[tuple[nn.Module, str, nn.Parameter, nn.Parameter]]:
    """Module, attribute, original and edited weight for every place where the parameter is used."""
    path, _, attribute = name.rpartition(".")
    try:
        owner = model.get_submodule(path)
        original = owner.get_parameter(attribute)
    except AttributeError as error:
        raise EditError(
            f"The model has no parameter {name}; the delta was made for another one.",
            next_step="Apply it to the base that the version's manifest names.",
        ) from error
    shape = (left.shape[0], right.shape[1])
    if tuple(original.T.shape if isinstance(owner, Conv1D) else original.shape) != shape:
        raise EditError(f"{name} is {tuple(original.shape)}, which the delta's {shape} does not fit.")
    with torch.no_grad():
        weight = edited_weight(owner, original, left, right)
    if not torch.isfinite(weight).all():
        raise EditError(f"The edited {name} would hold non-finite numbers.")
    edited = nn.Parameter(weight, requires_grad=original.requires_grad)
    return [
        (module, key, original, edited)
        for module in model.modules()
        for key, parameter in module.named_parameters(recurse=False, remove_duplicate=False)
        if parameter is original
    ]
