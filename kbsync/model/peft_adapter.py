"""A low-rank change as a PEFT adapter.

LoRA (Hu et al., ICLR 2022) computes Wx + (α/r)·B(Ax). A change of W is ``left @ right``, so B is ``left``, A is
``right``, and α = r makes the scaling 1: nothing is trained, and at full rank nothing is lost.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from kbsync.domain.errors import EditError
from kbsync.model.delta import FactorDelta


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterMatrix:
    """One edited matrix in an adapter."""

    parameter: str
    rank: int
    """Without the zeros that pad it to the highest rank of all matrices."""
    full_rank: int
    """The rank at which nothing is lost."""
    relative_loss: float
    """‖Δ − BA‖ / ‖Δ‖ (Frobenius), measured on the factors as they are written."""


@dataclass(frozen=True, slots=True)
class PeftAdapter:
    """What the two files of an adapter hold."""

    tensors: dict[str, Tensor]
    """``lora_A`` (r, in) and ``lora_B`` (out, r) of each matrix, float32, by PEFT's names."""
    config: dict[str, Any]
    matrices: tuple[AdapterMatrix, ...]
    rank: int
    """Of every matrix as it is written: those of a lower rank are padded with zeros."""

    def write(self, directory: Path, dtype: torch.dtype = torch.float32) -> None:
        """Write ``adapter_model.safetensors`` and ``adapter_config.json`` into an existing directory.

        Args:
            directory: Where they go.
            dtype: What the factors are rounded to.
        """
        tensors = {name: tensor.to(dtype) for name, tensor in self.tensors.items()}
        save_file(tensors, directory / "adapter_model.safetensors", metadata={"format": "pt"})
        text = json.dumps(self.config, indent=2) + "\n"
        (directory / "adapter_config.json").write_text(text, encoding="utf-8")


def peft_adapter(model: nn.Module, delta: FactorDelta, base: str, rank: int | None = None) -> PeftAdapter:
    """The adapter of a change.

    Args:
        model: The base, whose modules tell how their weights are stored.
        base: What PEFT loads the base by: a name on the hub, or a directory.
        rank: The highest rank of a matrix; None: full, so that the adapter is exact.

    Raises:
        EditError: The change was made for another model.
    """
    cut, matrices = cut_to(delta, rank)
    common = max((m.rank for m in matrices), default=0)
    tensors: dict[str, Tensor] = {}
    for name, (outer, inner) in cut.factors.items():
        module, missing = name.removesuffix(".weight"), common - inner.shape[0]
        tensors[f"base_model.model.{module}.lora_A.weight"] = nn.functional.pad(inner, (0, 0, 0, missing)).contiguous()
        tensors[f"base_model.model.{module}.lora_B.weight"] = nn.functional.pad(outer, (0, missing)).contiguous()
    return PeftAdapter(tensors, _config(model, matrices, base, common), matrices, common)


def cut_to(delta: FactorDelta, rank: int | None) -> tuple[FactorDelta, tuple[AdapterMatrix, ...]]:
    """A change whose matrices have at most this rank, and what each of them lost.

    Args:
        delta: The change.
        rank: The highest rank of a matrix; None: full, so that nothing is lost.
    """
    factors: dict[str, tuple[Tensor, Tensor]] = {}
    matrices = []
    for name in delta.parameters:
        left, right = delta.factors[name]
        full = min(left.shape[1], left.shape[0], right.shape[1])
        outer, inner = truncated(left, right, min(rank or full, full))
        loss = relative_loss(left, right, outer, inner)
        factors[name] = outer, inner
        matrices.append(AdapterMatrix(parameter=name, rank=inner.shape[0], full_rank=full, relative_loss=loss))
    return FactorDelta(factors), tuple(matrices)


def truncated(left: Tensor, right: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """The best approximation of ``left`` (out, r) @ ``right`` (r, in) of rank ``rank`` (Eckart and Young).

    Returns:
        float32 factors (out, rank) and (rank, in) of equal norm; ``left`` and ``right`` themselves where r is ``rank``.
    """
    if rank == left.shape[1]:
        return left, right
    q_left, r_left = torch.linalg.qr(left.double())
    q_right, r_right = torch.linalg.qr(right.double().T)
    u, s, vh = torch.linalg.svd(r_left @ r_right.T)
    root = s[:rank].sqrt()
    outer, inner = (q_left @ u[:, :rank]) * root, root[:, None] * (vh[:rank] @ q_right.T)
    return outer.float(), inner.float()


def relative_loss(left: Tensor, right: Tensor, outer: Tensor, inner: Tensor) -> float:
    """‖left·right − outer·inner‖ / ‖left·right‖ (Frobenius), in float64; 0 for a change that is zero."""
    change = left.double() @ right.double()
    size = change.norm()
    return float((change - outer.double() @ inner.double()).norm() / size) if size else 0.0


def _config(model: nn.Module, matrices: Sequence[AdapterMatrix], base: str, rank: int) -> dict[str, Any]:
    """What PEFT reads. All matrices have one rank and α = r: not every engine reads ranks by matrix."""
    modules = [m.parameter.removesuffix(".weight") for m in matrices]
    transposed = {isinstance(_module(model, name), Conv1D) for name in modules}
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "target_modules": modules,
        "r": rank,
        "lora_alpha": rank,
        "fan_in_fan_out": transposed == {True},
        "lora_dropout": 0.0,
        "bias": "none",
        "inference_mode": True,
    }


def _module(model: nn.Module, name: str) -> nn.Module:
    try:
        return model.get_submodule(name)
    except AttributeError as error:
        raise EditError(
            f"The model has no module {name}; the delta was made for another one.",
            next_step="Export it with the base that the version's manifest names.",
        ) from error
