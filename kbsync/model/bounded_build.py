"""Builds a model no larger than its weights: a configuration alone must not take all memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn
from torch.nn.modules import module as hooks

from kbsync.domain.errors import ModelError

MODULES = (2_000, 50)
"""As many modules may be built, and as many more for each tensor of the files. Real models have less than two a
tensor."""
NUMBERS = (10**8, 4)
"""As many numbers may parameters and buffers have, and as many times those of the files. A tied head counts twice."""


@contextmanager
def bounded_build(place: str, tensors: int, numbers: int) -> Iterator[None]:
    """Inside the block, a model that is built beyond its weights ends with ``ModelError``.

    Args:
        place: Where the model is read from, for the error's text.
        tensors: How many its files hold.
        numbers: How many numbers these have together.
    """
    left = {"modules": MODULES[0] + MODULES[1] * tensors, "numbers": NUMBERS[0] + NUMBERS[1] * numbers}

    def spend(kind: str, amount: int) -> None:
        left[kind] -= amount
        if left[kind] < 0:
            raise ModelError(
                f"The configuration of {place} describes a larger model than its {tensors} tensors make.",
                next_step="Fetch the model again.",
            )

    def module(_owner: nn.Module, _name: str, _part: nn.Module | None) -> None:
        spend("modules", 1)

    def tensor(_owner: nn.Module, _name: str, value: Any) -> None:
        spend("numbers", value.numel() if isinstance(value, Tensor) else 0)

    with ExitStack() as stack:
        stack.callback(hooks.register_module_module_registration_hook(module).remove)
        stack.callback(hooks.register_module_parameter_registration_hook(tensor).remove)
        stack.callback(hooks.register_module_buffer_registration_hook(tensor).remove)
        yield
