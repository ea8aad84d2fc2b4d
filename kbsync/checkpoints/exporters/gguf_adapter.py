"""Export a version as a LoRA adapter in a GGUF file, for llama.cpp and what is built on it.

llama.cpp computes Wx + (α/r)·B(Ax) with one α for the file and the r of each pair, so that all pairs are padded to one
rank r = α with zeros (``llama-adapter.cpp``, ``llama_adapter_lora::get_weight`` of llama.cpp b11549).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from kbsync.checkpoints.exporters.directory import Finish, exported, no_more, record
from kbsync.domain.errors import EditError
from kbsync.model.delta import FactorDelta
from kbsync.model.gguf_encoding import Q8_BLOCK, decoded, encoded, type_number
from kbsync.model.gguf_layout import aligned, library
from kbsync.model.gguf_names import gguf_name

FILE = "adapter.gguf"


def export_gguf_adapter(
    delta: FactorDelta,
    architecture: str,
    blocks: int,
    directory: Path,
    type: str = "f16",
    about: Mapping[str, Any] | None = None,
    finish: Finish = no_more,
) -> int:
    """Write ``adapter.gguf``; the directory appears whole or not at all.

    Args:
        delta: The change.
        architecture: llama.cpp's name of the base's architecture.
        blocks: The base's number of layers.
        directory: Its name may be taken by an empty directory only.
        type: In which type the factors are stored, one of ``gguf_encoding.TYPES``.
        about: Recorded in ``kbsync.json``, beside ‖Δ − BA‖ / ‖Δ‖ (Frobenius) by parameter: what the rounding costs.
        finish: Adds files.

    Returns:
        The rank of every pair.

    Raises:
        StoreError: The directory can't be written, or is not empty.
        EditError: The architecture has no such tensors, or the numbers don't fit into the type.
    """
    rank = max((left.shape[1] for left, _ in delta.factors.values()), default=0)
    rank = aligned(rank, Q8_BLOCK) if type == "q8_0" else rank
    losses = {}
    with exported(directory) as unfinished:
        gguf = library()
        writer = gguf.GGUFWriter(unfinished / FILE, architecture)
        writer.add_type(gguf.GGUFType.ADAPTER)
        writer.add_string("adapter.type", "lora")
        writer.add_float32("adapter.lora.alpha", float(rank))
        writer.add_name("kbsync" + (f" version {about['version']}" if about and "version" in about else ""))
        for parameter, (left, right) in delta.factors.items():
            name = gguf_name(architecture, blocks, parameter)
            if name is None:
                raise EditError(f"The architecture {architecture} of GGUF files has no tensor for {parameter}.")
            pair = [encoded(factor, type, parameter) for factor in _padded(left, right, rank)]
            inner, outer = (decoded(stored, type) for stored in pair)
            losses[parameter] = _loss(left, right, outer, inner)
            for suffix, stored in zip(("lora_a", "lora_b"), pair, strict=True):
                writer.add_tensor(f"{name}.{suffix}", stored, raw_dtype=gguf.GGMLQuantizationType(type_number(type)))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        told: dict[str, Any] = {"format": "gguf-lora", "type": type, "rank": rank, "rounding": losses}
        told |= dict(about or {})
        finish(unfinished, told)
        record(unfinished, told)
    return rank


def _padded(left: Tensor, right: Tensor, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """A (rank, in) and B (out, rank): the factors with zeros beyond their own rank.

    A row of A and the column of B that belongs to it are scaled by a power of two, which changes no digit, so that
    their largest numbers are alike: the range of a short float is narrow.
    """
    high, wide = left.abs().amax(0).clamp(min=1e-30), right.abs().amax(1).clamp(min=1e-30)
    scale = (2.0 ** ((high / wide).log2() / 2).round()).float()
    missing = rank - left.shape[1]
    pad = nn.functional.pad
    inner, outer = pad(right * scale[:, None], (0, 0, 0, missing)), pad(left / scale, (0, missing))
    return inner.numpy(), outer.numpy()


def _loss(left: Tensor, right: Tensor, outer: np.ndarray, inner: np.ndarray) -> float:
    change = left.double().numpy() @ right.double().numpy()
    size = float(np.linalg.norm(change))
    kept = outer.astype(np.float64) @ inner.astype(np.float64)
    return float(np.linalg.norm(change - kept)) / size if size else 0.0
