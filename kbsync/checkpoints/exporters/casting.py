"""A model's directory in another floating-point type."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from kbsync.model.load import DTYPES
from kbsync.model.model_files import WEIGHTS_INDEX, read_json, weight_files


def cast_directory(directory: Path, dtype: str) -> None:
    """Round the floating-point tensors of a written model to ``dtype``, and say so in its configuration.

    Args:
        directory: Holds safetensors and ``config.json``; its files are replaced one by one.
        dtype: One of ``kbsync.model.load.DTYPES``.
    """
    wanted, size = DTYPES[dtype], 0
    for path in weight_files(directory):
        with safe_open(path, framework="pt") as stored:
            metadata = stored.metadata()
            tensors = {name: _cast(stored.get_tensor(name), wanted) for name in stored.keys()}  # noqa: SIM118
        size += sum(tensor.nbytes for tensor in tensors.values())
        path.unlink()
        save_file(tensors, path, metadata=metadata)
    config = read_json(directory / "config.json")
    key = "torch_dtype" if "torch_dtype" in config else "dtype"
    _write_json(directory / "config.json", config | {key: dtype})
    if (directory / WEIGHTS_INDEX).is_file():
        index = read_json(directory / WEIGHTS_INDEX)
        index["metadata"] = dict(index.get("metadata") or {}) | {"total_size": size}
        _write_json(directory / WEIGHTS_INDEX, index)


def _cast(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


def _write_json(path: Path, value: object) -> None:
    path.unlink(missing_ok=True)
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
