"""How checkpoints of quantised weights store a matrix, and what each form stands for in full precision.

Sources: the safetensors that each tool writes, and the code that reads them: transformers (fine-grained FP8, MXFP4),
AutoGPTQ and GPTQModel (GPTQ), AutoAWQ (AWQ), bitsandbytes, compressed-tensors.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from kbsync.domain.errors import ModelError

Parts = Mapping[str, Tensor]
"""The stored tensors of one matrix, by the end of their names."""
Settings = Mapping[str, Any]
"""A configuration's ``quantization_config``."""

_WORD = 32
"""Bits of the integers that hold packed numbers."""
_AWQ_ORDER = (0, 4, 1, 5, 2, 6, 3, 7)
"""Where the n-th number of eight lies in an integer of AWQ."""
_FP4 = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0)
"""The sixteen numbers of E2M1, by their bits."""
_INT8_LARGEST = 127
_SCALE_BIAS = 127
"""Of E8M0, whose value is a power of two."""


@dataclass(frozen=True, slots=True)
class Packing:
    """One way to store a matrix."""

    key: str
    """The end of the name of the tensor that holds the packed numbers."""
    into: str
    """The end of the parameter's name, in its place."""
    needs: tuple[str, ...]
    """Ends of the names of what must lie beside it."""
    unpack: Callable[[Parts, Settings], Tensor]
    """Computes the matrix, (out, in), float32."""
    may: tuple[str, ...] = ()
    """Ends of the names of what may lie beside it."""
    drops: tuple[str, ...] = ()
    """Ends of the names of what says something about activations only, or nothing."""


def _fp8(parts: Parts, _settings: Settings) -> Tensor:
    weight = parts[".weight"].float()
    scale = next(parts[name] for name in (".weight_scale_inv", ".weight_scale") if name in parts).float()
    return weight * _spread(scale, weight)


def _spread(scale: Tensor, weight: Tensor) -> Tensor:
    """One scale for the whole, for each row, or for each block, to each number of ``weight`` (out, in).

    Blocks may be cut off at the ends: their size is the smallest power of two that is large enough.
    """
    if scale.numel() == 1:
        return scale.reshape(1, 1)
    if scale.ndim == 1:
        scale = scale[:, None]
    if scale.ndim != 2 or weight.ndim != 2:
        raise ValueError(f"scales of the shape {tuple(scale.shape)} for weights of {tuple(weight.shape)}")
    for axis in (0, 1):
        size, count = weight.shape[axis], scale.shape[axis]
        if count not in (1, size):
            block = 1 << (-(-size // count) - 1).bit_length()
            if -(-size // block) != count:
                raise ValueError(f"{count} blocks of scales for {size} numbers")
            scale = scale.repeat_interleave(block, dim=axis).narrow(axis, 0, size)
    return scale


def _bits_of(packed: Tensor, bits: int, axis: int) -> Tensor:
    """The unsigned numbers of ``bits`` bits in 32-bit integers, lowest bits first, side by side along ``axis``."""
    if bits not in (2, 4, 8):
        raise ValueError(f"{bits} bits")
    shifts = torch.arange(0, _WORD, bits, dtype=torch.int32)
    shape = [1] * (packed.ndim + 1)
    shape[axis + 1] = len(shifts)
    numbers = (packed.int().unsqueeze(axis + 1) >> shifts.reshape(shape)) & ((1 << bits) - 1)
    return numbers.flatten(axis, axis + 1)


def _gptq(parts: Parts, settings: Settings) -> Tensor:
    bits = int(settings["bits"])
    numbers, scales = _bits_of(parts[".qweight"], bits, 0), parts[".scales"].float()
    zeros = _bits_of(parts[".qzeros"], bits, 1)
    if settings.get("checkpoint_format", "gptq") != "gptq_v2":
        zeros = (zeros + 1) & ((1 << bits) - 1)
    size = len(numbers) // len(scales)
    group = parts[".g_idx"].long() if ".g_idx" in parts else torch.arange(len(numbers)) // size
    return ((numbers - zeros[group]).float() * scales[group]).T.contiguous()


def _awq(parts: Parts, settings: Settings) -> Tensor:
    bits = int(settings.get("bits", 4))
    if bits != 4 or settings.get("version", "gemm") != "gemm":
        raise ValueError(f"{bits} bits in the version {settings.get('version')!r}")
    order = torch.tensor(_AWQ_ORDER)

    def unpacked(packed: Tensor) -> Tensor:
        numbers = _bits_of(packed, bits, 1)
        return numbers.reshape(len(numbers), -1, len(order))[:, :, order].flatten(1)

    scales = parts[".scales"].float()
    numbers, zeros = unpacked(parts[".qweight"]), unpacked(parts[".qzeros"])
    group = torch.arange(len(numbers)) // (len(numbers) // len(scales))
    return ((numbers - zeros[group]).float() * scales[group]).T.contiguous()


def _bitsandbytes_8(parts: Parts, _settings: Settings) -> Tensor:
    return parts[".weight"].float() * (parts[".SCB"].float() / _INT8_LARGEST)[:, None]


def _bitsandbytes_4(parts: Parts, _settings: Settings) -> Tensor:
    state = next(parts[name] for name in _STATES if name in parts)
    told = json.loads(bytes(state.numpy().tobytes()).decode())
    scales = parts[".weight.absmax"]
    if ".weight.nested_absmax" in parts:
        nested = parts[".weight.nested_absmax"].float().repeat_interleave(int(told["nested_blocksize"]))
        scales = parts[".weight.nested_quant_map"].float()[scales.long()] * nested[: len(scales)]
        scales = scales + float(told["nested_offset"])
    packed = parts[".weight"].flatten()
    numbers = torch.stack([packed >> 4, packed & 15], dim=1).flatten().long()
    shape = [int(n) for n in told["shape"]]
    spread = scales.float().repeat_interleave(int(told["blocksize"]))
    count = torch.Size(shape).numel()
    return (parts[".weight.quant_map"].float()[numbers[:count]] * spread[:count]).reshape(shape)


def _mxfp4(parts: Parts, _settings: Settings) -> Tensor:
    """(experts, out, groups, 16) bytes and (experts, out, groups) scales become (experts, in, out), as gpt-oss computes
    with them."""
    packed, powers = parts["_blocks"], parts["_scales"].int() - _SCALE_BIAS
    table = torch.tensor(_FP4)
    numbers = torch.stack([table[(packed & 15).long()], table[(packed >> 4).long()]], dim=-1).flatten(-2)
    return torch.ldexp(numbers, powers[..., None]).flatten(-2).transpose(-1, -2).contiguous()


def _integers(parts: Parts, _settings: Settings) -> Tensor:
    """Of compressed-tensors, one number in each byte."""
    weight = parts[".weight"].float()
    if ".weight_zero_point" in parts:
        weight = weight - _groups(parts[".weight_zero_point"].float(), weight)
    return weight * _groups(parts[".weight_scale"].float(), weight)


def _packed(parts: Parts, settings: Settings) -> Tensor:
    """Of compressed-tensors, several numbers in each 32-bit integer."""
    bits = {int(group["weights"]["num_bits"]) for group in settings["config_groups"].values()}
    if len(bits) != 1:
        raise ValueError(f"matrices of {sorted(bits)} bits")
    (size,) = bits
    rows, columns = (int(n) for n in parts[".weight_shape"].flatten().tolist())
    half = 1 << (size - 1)
    weight = (_bits_of(parts[".weight_packed"], size, 1)[:rows, :columns] - half).float()
    scale = parts[".weight_scale"].float()
    group = parts[".weight_g_idx"].long() if ".weight_g_idx" in parts else None
    spread = _groups(scale, weight) if group is None else scale[:, group]
    if ".weight_zero_point" in parts:
        zeros = (_bits_of(parts[".weight_zero_point"], size, 0)[:rows] - half).float()
        weight = weight - (_groups(zeros, weight) if group is None else zeros[:, group])
    return weight * spread


def _groups(scale: Tensor, weight: Tensor) -> Tensor:
    """One number for the whole, for each row, or for each group of a row, to each number of ``weight`` (out, in)."""
    if scale.numel() == 1:
        return scale.reshape(1, 1)
    scale = scale.reshape(len(scale), -1)
    size = -(-weight.shape[1] // scale.shape[1])
    return scale.repeat_interleave(size, dim=1)[:, : weight.shape[1]]


_STATES = tuple(f".weight.quant_state.bitsandbytes__{kind}" for kind in ("nf4", "fp4"))
_OF_ACTIVATIONS = (".activation_scale", ".input_scale", ".weight_format", ".k_scale", ".v_scale", ".q_scale")
_FP8 = tuple(
    Packing(".weight", ".weight", (scale,), _fp8, drops=_OF_ACTIVATIONS)
    for scale in (".weight_scale_inv", ".weight_scale")
)
_COMPRESSED = {
    "float-quantized": _FP8[1:],
    "naive-quantized": _FP8[1:],
    "int-quantized": (
        Packing(".weight", ".weight", (".weight_scale",), _integers, (".weight_zero_point",), _OF_ACTIVATIONS),
    ),
    "pack-quantized": (
        Packing(
            *(".weight_packed", ".weight", (".weight_scale", ".weight_shape"), _packed),
            may=(".weight_zero_point", ".weight_g_idx"),
        ),
    ),
}
_PLAIN: Mapping[str, tuple[Packing, ...]] = {
    "fp8": _FP8,
    "fbgemm_fp8": _FP8[1:],
    "gptq": (Packing(".qweight", ".weight", (".qzeros", ".scales"), _gptq, (".g_idx",)),),
    "awq": (Packing(".qweight", ".weight", (".qzeros", ".scales"), _awq),),
    "bitsandbytes": (
        Packing(".weight", ".weight", (".SCB",), _bitsandbytes_8, drops=(".weight_format",)),
        Packing(
            *(".weight", ".weight", (".weight.absmax", ".weight.quant_map"), _bitsandbytes_4),
            may=(*_STATES, ".weight.nested_absmax", ".weight.nested_quant_map"),
        ),
    ),
    "mxfp4": (Packing("_blocks", "", ("_scales",), _mxfp4),),
}


def packings_for(settings: Settings) -> tuple[Packing, ...]:
    """The ways in which a checkpoint with these settings may store a matrix; none for one that is not known."""
    method = str(settings.get("quant_method"))
    if method == "compressed-tensors":
        return _COMPRESSED.get(str(settings.get("format")), ())
    return _PLAIN.get(method, ())


def unpacked(name: str, packing: Packing, parts: Parts, settings: Settings) -> Tensor:
    """A matrix in full precision, float32.

    Args:
        name: The parameter's name, for the error's text.
        packing: How it is stored.
        parts: Its stored tensors.
        settings: Of the checkpoint.

    Raises:
        ModelError: The stored tensors don't fit together, or some number is not finite.
    """
    try:
        weight = packing.unpack(parts, settings)
    except (RuntimeError, ValueError, KeyError, IndexError, TypeError, StopIteration, ZeroDivisionError) as error:
        raise ModelError(
            f"{name} can't be read in full precision: {error or type(error).__name__}.",
            next_step="Name the model that the weights were quantised from.",
        ) from error
    if not torch.isfinite(weight).all():
        raise ModelError(f"{name} holds numbers that are not finite.", next_step="Fetch the model again.")
    return weight
