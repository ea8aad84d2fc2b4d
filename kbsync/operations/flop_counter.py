"""Counts the operations and bytes of torch's matrix products, and measures what this machine can do.

torch's own ``FlopCounterMode`` counts no bytes and leaves out attention on the CPU, so only its formulas are used here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry, sdpa_flop_count

from kbsync.operations.meter import MachineSpeed

SIDE = 1536
"""Rows and columns of the square product that is timed: large enough for full speed, done in a tenth of a second."""
COPIED = 2**28
"""Bytes that are copied to time a copy."""
_CPU_ATTENTION = "_scaled_dot_product_flash_attention_for_cpu"


class FlopCounter(TorchDispatchMode):
    """Counts matrix products and attention inside its block."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flops = 0
        """Multiplications and additions."""
        self.bytes = 0
        """Bytes of operands and results."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        packet = func._overloadpacket
        if packet not in flop_registry and packet.__name__ != _CPU_ATTENTION:
            if not func._can_decompose():
                return func(*args, **kwargs)
            with self:  # where autograd is off, a linear layer arrives here as one operation
                return func.decompose(*args, **kwargs)
        out = func(*args, **kwargs)
        self.flops += _flops(packet, args, kwargs, out)
        for value in (*args, *kwargs.values(), *(out if isinstance(out, tuple) else (out,))):
            if isinstance(value, Tensor):
                self.bytes += value.numel() * value.element_size()
        return out


def _flops(packet: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> int:
    if packet.__name__ == _CPU_ATTENTION:
        return int(sdpa_flop_count(args[0].shape, args[1].shape, args[2].shape))  # type: ignore[no-untyped-call]
    return int(flop_registry[packet](*args, **kwargs, out_val=out))


@torch.inference_mode()
def machine_speed() -> MachineSpeed:
    """The best of a few large products in float32 and of a few large copies; takes about a second."""
    x = torch.ones(SIDE, SIDE)
    out = torch.empty(SIDE, SIDE)
    product = min(_seconds(lambda: torch.mm(x, x, out=out)) for _ in range(5))
    source, target = torch.ones(COPIED // 4), torch.empty(COPIED // 4)
    copy = min(_seconds(lambda: target.copy_(source)) for _ in range(3))
    return MachineSpeed(flops=2 * SIDE**3 / product, bytes=2 * COPIED / copy)


def _seconds(work: Callable[[], object]) -> float:
    before = time.perf_counter()
    work()
    return time.perf_counter() - before
