"""Counts the operations and bytes of torch's matrix products, and measures what this machine can do."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry, sdpa_flop_count

from kbsync.operations.meter import Speeds

SIDE = 1536
"""Of the square product that is timed: large enough for full speed, done in a tenth of a second."""
COPIED = 2**28
_CPU_ATTENTION = "_scaled_dot_product_flash_attention_for_cpu"


class Products(TorchDispatchMode):
    """Inside the block, ``operations`` counts multiplications and additions, ``moved`` the bytes of operands and results."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations = 0
        self.moved = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        packet = func._overloadpacket
        if packet not in flop_registry and packet.__name__ != _CPU_ATTENTION:
            if not func._can_decompose():
                return func(*args, **kwargs)
            with self:  # where autograd is off, torch hands over a linear layer whole
                return func.decompose(*args, **kwargs)
        out = func(*args, **kwargs)
        self.operations += _operations(packet, args, kwargs, out)
        for value in (*args, *kwargs.values(), *(out if isinstance(out, tuple) else (out,))):
            if isinstance(value, Tensor):
                self.moved += value.numel() * value.element_size()
        return out


def _operations(packet: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> int:
    if packet.__name__ == _CPU_ATTENTION:
        return int(sdpa_flop_count(args[0].shape, args[1].shape, args[2].shape))  # type: ignore[no-untyped-call]
    return int(flop_registry[packet](*args, **kwargs, out_val=out))


@torch.inference_mode()
def speeds() -> Speeds:
    """The best of a few tries each, in about a second."""
    x = torch.ones(SIDE, SIDE)
    out = torch.empty(SIDE, SIDE)
    product = min(_seconds(lambda: torch.mm(x, x, out=out)) for _ in range(5))
    source, target = torch.ones(COPIED // 4), torch.empty(COPIED // 4)
    copy = min(_seconds(lambda: target.copy_(source)) for _ in range(3))
    return Speeds(operations=2 * SIDE**3 / product, moved=2 * COPIED / copy)


def _seconds(work: Callable[[], object]) -> float:
    before = time.perf_counter()
    work()
    return time.perf_counter() - before
