"""A device that is not there: its tensors are computed on the CPU, but may not be mixed with the CPU's, as with CUDA.

Inside ``pretended_device()`` a model goes to ``DEVICE`` as it would go to ``cuda``. What mixes its tensors with tensors
of the CPU raises what CUDA raises, and what a GPU would have to wait for is counted. The numbers are the CPU's, except
that attention takes torch's plain kernel (``plain_attention`` makes the CPU take it too). What only a real GPU can tell
is not pretended: other last bits, memory, speed, and which operations CUDA lacks.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils import _device, backend_registration
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode

DEVICE = torch.device("fpga", 0)
"""A type of device that torch can name and for which it has no code, so that nothing passes it unseen."""

_aten = torch.ops.aten
_COPIES = (_aten.copy_.default, _aten.copy.default)
_EMPTY = (_aten.empty.memory_format, _aten.empty_strided.default)
_INDEXING = (
    _aten.index.Tensor,
    _aten.index_put.default,
    _aten.index_put_.default,
    _aten._index_put_impl_.default,
    _aten._unsafe_index.Tensor,
)
"""Operations whose indices may lie on the CPU."""
_SCALAR_FROM_CPU = (_aten.fill_.Tensor, _aten.masked_fill.Tensor, _aten.masked_fill_.Tensor)
"""Operations, besides those that go entry by entry, that take a number from a CPU tensor without dimensions."""
_WAITING = {
    "aten::_local_scalar_dense",
    "aten::_linalg_check_errors",
    "aten::_unique2",
    "aten::allclose",
    "aten::bincount",
    "aten::equal",
    "aten::is_nonzero",
    "aten::masked_select",
    "aten::nonzero",
    "aten::repeat_interleave",
    "aten::unique_consecutive",
    "aten::unique_dim",
}
"""Operations whose result the host must know before it can go on: a number, or the size of what follows."""


@dataclass(slots=True)
class Traffic:
    """What went between the host and the pretended device."""

    to_host: Counter[str] = field(default_factory=Counter)
    """Whatever the host needed to know, by operation and by the line that asked."""
    to_device: Counter[str] = field(default_factory=Counter)
    """Copies to the device, likewise. CUDA makes the host wait for them too."""

    def since(self, earlier: Traffic) -> Traffic:
        """What came after ``earlier``, which is a copy of this one."""
        return Traffic(self.to_host - earlier.to_host, self.to_device - earlier.to_device)

    def copy(self) -> Traffic:
        return Traffic(Counter(self.to_host), Counter(self.to_device))

    @property
    def waits(self) -> int:
        """How often the host waited for the device."""
        return self.to_host.total() + self.to_device.total()


class PretendedTensor(Tensor):
    """A tensor of the pretended device; ``host`` holds its numbers."""

    host: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, host: Tensor) -> PretendedTensor:
        # For torch's own code it is a meta tensor: without numbers, and without a device that would have to be there.
        made: PretendedTensor = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            host.shape,
            strides=host.stride(),
            storage_offset=host.storage_offset(),
            dtype=host.dtype,
            device="meta",
        )
        made.host = host
        return made

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return DEVICE

    @property
    def data(self) -> Tensor:  # type: ignore[override]
        return self.detach()

    @data.setter
    def data(self, values: Tensor) -> None:
        if not isinstance(values, PretendedTensor) or values.shape != self.shape or values.dtype != self.dtype:
            raise RuntimeError("incompatible tensor type")
        self.host = values.host

    def __getitem__(self, index: Any) -> Any:
        return super().__getitem__(_with_tensors(index))

    def __setitem__(self, index: Any, value: Any) -> None:
        super().__setitem__(_with_tensors(index), value)

    @property
    def is_meta(self) -> bool:  # type: ignore[override]
        return False

    def data_ptr(self) -> int:
        return self.host.data_ptr()

    def tolist(self) -> Any:
        """One transfer, as of a real device."""
        return self.cpu().tolist()

    def numpy(self, *, force: bool = False) -> Any:
        if force:
            return self.cpu().numpy()
        raise TypeError(f"can't convert {DEVICE} device type tensor to numpy. Use Tensor.cpu() first.")

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return f"PretendedTensor({self.host!r})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise RuntimeError(f"{func} of a pretended tensor outside of pretended_device().")


class _Pretending(TorchDispatchMode):
    """Sees every operation of the thread."""

    def __init__(self) -> None:
        super().__init__()
        self.traffic = Traffic()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tensors = [t for t in _leaves((args, kwargs)) if isinstance(t, Tensor)]
        ours = [t for t in tensors if isinstance(t, PretendedTensor)]
        device = kwargs.get("device")
        if not ours and not _is_ours(device):
            return func(*args, **kwargs)
        if not ours and func in _EMPTY and torch.device(device).type == "meta":
            raise NotImplementedError("torch was about to make a tensor of numbers that it took for a meta tensor's.")
        if _is_composite(func):
            with self:  # its parts come here
                return func.decompose(*args, **kwargs)
        if func in _COPIES:
            return self._copy(func, *args, **kwargs)
        if func is _aten._to_copy.default:
            return self._moved(func, *args, **kwargs)
        if torch.Tag.inplace_view in func.tags:
            with no_dispatch():  # the shape that torch's own code sees
                func(*args, **kwargs)
        if ours:
            _refuse_mixing(func, args, kwargs, [t for t in tensors if not isinstance(t, PretendedTensor)])
            self._note(func, args, tensors)
        host_kwargs = _on_host(kwargs) | ({"device": torch.device("cpu")} if "device" in kwargs else {})
        result = func(*_on_host(args), **host_kwargs)
        return _pretended(result, ours) if device is None or _is_ours(device) else result

    def _copy(self, func: Any, into: Tensor, source: Tensor, non_blocking: bool = False) -> Any:
        """Between devices this is a transfer."""
        self._transferred(func, source, isinstance(into, PretendedTensor))
        result = func(_on_host(into), _on_host(source), non_blocking)
        return _pretended(result, [into]) if isinstance(into, PretendedTensor) else result

    def _moved(self, func: Any, tensor: Tensor, **kwargs: Any) -> Tensor:
        """``to`` another device or dtype."""
        device = kwargs.pop("device", None)
        gets_ours = isinstance(tensor, PretendedTensor) if device is None else _is_ours(device)
        self._transferred(func, tensor, gets_ours)
        moved: Tensor = func(_on_host(tensor), **kwargs)
        return PretendedTensor(moved) if gets_ours else moved

    def _transferred(self, func: Any, tensor: Tensor, to_ours: bool) -> None:
        from_ours = isinstance(tensor, PretendedTensor)
        if from_ours != to_ours and tensor.numel():  # for nothing nobody waits
            (self.traffic.to_host if from_ours else self.traffic.to_device)[_place(func)] += 1

    def _note(self, func: Any, args: Any, tensors: list[Tensor]) -> None:
        """Count what the operation makes the host wait for, and indices that it takes from the host."""
        name = func._schema.name
        if func in _INDEXING:
            indices = [i for i in args[1] if i is not None]
            if any(isinstance(i, PretendedTensor) and i.dtype in (torch.bool, torch.uint8) for i in indices):
                self.traffic.to_host[_place(func)] += 1
            if count := sum(not isinstance(i, PretendedTensor) for i in indices):
                self.traffic.to_device[_place(func)] += count
        elif name in _WAITING:
            self.traffic.to_host[_place(func)] += 1


@contextmanager
def pretended_device() -> Iterator[Traffic]:
    """Inside the block ``DEVICE`` is there, for this thread; gives what goes between it and the host."""
    lifting = torch._C._only_lift_cpu_tensors()
    swapping = torch.__future__.get_swap_module_params_on_conversion()
    backend = backend_registration._privateuse1_backend_name
    backend_registration._privateuse1_backend_name = DEVICE.type  # torch.norm asks whether it knows the type
    torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor(…, device=DEVICE): made on the CPU, then moved
    torch.__future__.set_swap_module_params_on_conversion(True)  # parameters that are tied stay so, as with CUDA
    try:
        with _Pretending() as mode:
            yield mode.traffic
    finally:
        backend_registration._privateuse1_backend_name = backend
        torch._C._set_only_lift_cpu_tensors(lifting)
        torch.__future__.set_swap_module_params_on_conversion(swapping)


def plain_attention() -> AbstractContextManager[None]:
    """Inside the block attention takes the same kernel on every device."""
    return sdpa_kernel(SDPBackend.MATH)


def placed(model: Any) -> Any:
    """The model, moved to the pretended device."""
    nn.Module.to(model, DEVICE)
    return model


@cache
def _is_composite(func: Any) -> bool:
    """Whether it is made of other operations on every device; ``inference_mode`` leaves it whole."""
    return bool(func._can_decompose()) and not torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CPU")


def _with_tensors(index: Any) -> Any:
    """Lists in an index as tensors of the device, as CUDA makes them; torch itself would make meta tensors."""
    if isinstance(index, tuple):
        return tuple(map(_with_tensors, index))
    return torch.tensor(index, device=DEVICE) if isinstance(index, list) else index


def _is_ours(device: Any) -> bool:
    """Whether a tensor for ``device`` is one of the pretended device; for torch's own code that is ``meta``."""
    if device is None:
        return False
    kind, really_meta = torch.device(device).type, torch.device("meta") == _device.CURRENT_DEVICE
    return kind == DEVICE.type or (kind == "meta" and not really_meta)


def _mapped(change: Callable[[Any], Any], tree: Any) -> Any:
    """Arguments or results with each leaf changed; torch's own function for that takes longer than the operation."""
    if isinstance(tree, dict):
        return {key: _mapped(change, value) for key, value in tree.items()}
    if isinstance(tree, tuple | list):
        return type(tree)([_mapped(change, value) for value in tree])
    return change(tree)


def _leaves(tree: Any) -> list[Any]:
    found: list[Any] = []
    _mapped(found.append, tree)
    return found


def _on_host(tree: Any) -> Any:
    return _mapped(lambda x: x.host if isinstance(x, PretendedTensor) else x, tree)


def _pretended(tree: Any, known: list[Any]) -> Any:
    """Results as tensors of the device; what an operation changed in place stays the very object that it was."""
    by_host = {id(tensor.host): tensor for tensor in known}

    def wrapped(x: Any) -> Any:
        if not isinstance(x, Tensor):
            return x
        same = by_host.get(id(x))
        if same is None:
            return PretendedTensor(x)
        assert same.shape == x.shape
        return same

    return _mapped(wrapped, tree)


def _refuse_mixing(func: Any, args: Any, kwargs: Any, strangers: list[Tensor]) -> None:
    """Raise what CUDA raises where an operation gets tensors of the device and of the CPU."""
    for value in _leaves((args, kwargs)):
        if isinstance(value, torch.Generator):
            raise RuntimeError(f"Expected a '{DEVICE.type}' device type for generator but found 'cpu'")
    if func in _INDEXING:
        if not isinstance(args[0], PretendedTensor):
            raise RuntimeError("indices should be either on cpu or on the same device as the indexed tensor (cpu)")
        indices = {id(i) for i in args[1] if i is not None}
        strangers = [t for t in strangers if id(t) not in indices]
        if all(t.ndim == 0 for t in strangers):
            return
    numbers_allowed = torch.Tag.pointwise in func.tags or func in _SCALAR_FROM_CPU
    refused = [t for t in strangers if t.ndim > 0 or not numbers_allowed]
    if refused or (strangers and func._schema.is_mutable and not isinstance(args[0], PretendedTensor)):
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but found at least two devices, {DEVICE} and cpu! "
            f"(when checking {func})"
        )


def _place(func: Any) -> str:
    """The operation, and the innermost line of kbsync or transformers that is running."""
    frame = sys._getframe()
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if name.startswith(("kbsync.", "transformers.")):
            return f"{func} at {name}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return str(func)
