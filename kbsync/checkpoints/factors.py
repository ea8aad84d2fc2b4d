"""Low-rank factors as safetensors: the same factors are always the same bytes."""

from __future__ import annotations

import hashlib

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from kbsync.domain.canonical import canonical_json
from kbsync.domain.errors import EditError
from kbsync.model.delta import FactorDelta

_LEFT, _RIGHT = ".left", ".right"


def hashes(delta: FactorDelta) -> dict[str, str]:
    """By parameter, the SHA-256 of its factors: their shapes, then their float32 bytes, left before right."""
    return {name: _hash(*delta.factors[name]) for name in delta.parameters}


def encode(delta: FactorDelta) -> bytes:
    """One safetensors file with ``<parameter>.left`` (out, r) and ``<parameter>.right`` (r, in), float32."""
    tensors = {}
    for name in delta.parameters:
        left, right = delta.factors[name]
        tensors[name + _LEFT], tensors[name + _RIGHT] = _stored(left), _stored(right)
    return save(tensors)


def decode(data: bytes) -> FactorDelta:
    """The factors that ``encode`` wrote.

    Raises:
        ValueError: What is wrong with the bytes, as the end of a sentence that begins with the file.
    """
    try:
        tensors = load(data)
    except SafetensorError as error:
        raise ValueError(f"is not a safetensors file: {error}") from None
    names = {name.removesuffix(_LEFT) for name in tensors if name.endswith(_LEFT)}
    if set(tensors) != {name + side for name in names for side in (_LEFT, _RIGHT)}:
        raise ValueError("does not hold a left and a right factor for each parameter")
    try:
        return FactorDelta({name: (tensors[name + _LEFT], tensors[name + _RIGHT]) for name in names})
    except EditError as error:
        raise ValueError(f"does not hold sound factors: {error.what}") from error


def _hash(left: torch.Tensor, right: torch.Tensor) -> str:
    digest = hashlib.sha256(canonical_json([list(left.shape), list(right.shape)]).encode())
    for factor in (left, right):
        digest.update(_stored(factor).numpy().astype("<f4", copy=False).data)
    return digest.hexdigest()


def _stored(factor: torch.Tensor) -> torch.Tensor:
    """The factor in contiguous memory, as safetensors demands."""
    return factor.detach().contiguous()
