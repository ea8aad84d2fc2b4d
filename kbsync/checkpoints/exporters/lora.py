"""Export a version as a PEFT adapter: the low-rank change of each edited matrix, for servers that hot-load adapters.

LoRA (Hu et al., ICLR 2022) computes Wx + (α/r)·B(Ax). A version's change of W is ``left @ right``, so B is ``left``, A is
``right``, and α = r makes the scaling 1: nothing is trained, nothing is lost at full rank.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers.pytorch_utils import Conv1D

from kbsync.checkpoints.exporters.directory import exported, record
from kbsync.domain.errors import EditError
from kbsync.model.delta import FactorDelta
from kbsync.model.load import PACKAGE, LoadedModel


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterMatrix:
    """One edited matrix in an adapter. ``full_rank`` loses nothing; ``relative_loss`` is ‖Δ − BA‖ / ‖Δ‖ (Frobenius),
    measured on the factors as they are written."""

    parameter: str
    rank: int
    full_rank: int
    relative_loss: float


def export_lora(
    loaded: LoadedModel,
    delta: FactorDelta,
    directory: Path,
    rank: int | None = None,
    about: Mapping[str, Any] | None = None,
) -> tuple[AdapterMatrix, ...]:
    """Write ``adapter_model.safetensors`` and ``adapter_config.json`` for the same base, at most of rank ``rank``.

    Without ``rank`` the adapter is exact. The directory appears whole or not at all; ``about`` and the losses are
    recorded in ``kbsync.json``. Raises ``StoreError`` when it can't be written, ``EditError`` when the delta does not fit
    the base.
    """
    tensors: dict[str, Tensor] = {}
    matrices = []
    for name in delta.parameters:
        left, right = delta.factors[name]
        full = min(left.shape[1], left.shape[0], right.shape[1])
        outer, inner = truncated(left, right, min(rank or full, full))
        loss = relative_loss(left, right, outer, inner)
        module = name.removesuffix(".weight")
        tensors[f"base_model.model.{module}.lora_A.weight"] = inner.contiguous()
        tensors[f"base_model.model.{module}.lora_B.weight"] = outer.contiguous()
        matrices.append(AdapterMatrix(parameter=name, rank=inner.shape[0], full_rank=full, relative_loss=loss))
    config = _config(loaded, matrices)
    with exported(directory) as unfinished:
        save_file(tensors, unfinished / "adapter_model.safetensors", metadata={"format": "pt"})
        (unfinished / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        record(unfinished, {"format": "lora", "matrices": [asdict(m) for m in matrices]} | dict(about or {}))
    return tuple(matrices)


def truncated(left: Tensor, right: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """The best approximation of ``left @ right`` (out × r, r × in) of rank ``rank`` (Eckart and Young), as float32
    factors (out × rank, rank × in) of equal size; the factors themselves where they have that rank."""
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


def _config(loaded: LoadedModel, matrices: list[AdapterMatrix]) -> dict[str, Any]:
    """What PEFT reads. Ranks that differ from the commonest go into the patterns, which not every server reads."""
    modules = {m.parameter.removesuffix(".weight"): m.rank for m in matrices}
    turned = {isinstance(_module(loaded, name), Conv1D) for name in modules}
    ranks = list(modules.values())
    common = max(set(ranks), key=lambda r: (ranks.count(r), r))
    others = {name: rank for name, rank in modules.items() if rank != common}
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": _base(loaded),
        "target_modules": list(modules),
        "r": common,
        "lora_alpha": common,
        "rank_pattern": others,
        "alpha_pattern": others,
        "fan_in_fan_out": turned == {True},
        "lora_dropout": 0.0,
        "bias": "none",
        "inference_mode": True,
    }


def _module(loaded: LoadedModel, name: str) -> torch.nn.Module:
    try:
        return loaded.model.get_submodule(name)
    except AttributeError as error:
        raise EditError(
            f"The model has no module {name}; the delta was made for another one.",
            next_step="Export it with the base that the version's manifest names.",
        ) from error


def _base(loaded: LoadedModel) -> str:
    """The name on the hub where the base has one, else the directory that holds its safetensors."""
    name, _, _ = loaded.reference.partition("@")
    on_hub = not loaded.reference.startswith((PACKAGE, "/", ".", "~")) and name.count("/") == 1
    return name if on_hub and not name.endswith(".gguf") else str(loaded.directory)
