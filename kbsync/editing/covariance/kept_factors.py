"""Factors of the key covariances, kept beside them: factoring takes the cube of the width, and reading its square.

A factor is stored under the SHA-256 of the covariance that it was made from, so that it is never another one's.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, tensor

from kbsync.editing.common.cholesky import Factor, factorise
from kbsync.editing.common.lanczos import Subspace
from kbsync.editing.covariance.covariance import Covariances
from kbsync.ports import ArtifactStore

KIND = "factor"
TOLERANCE = 1e-9
"""Relative; rounding is some 1e-13 at the widths of today's models."""


def factor_of(covariances: Covariances, layer: int, artifacts: ArtifactStore) -> Factor:
    """The factor of a layer's covariance, read from the store or made and kept there.

    Raises:
        EditError: The covariance is gone or unsound.
    """
    key = covariances.digests[layer]
    witness = _witness(covariances.matrices[layer])
    kept = _kept(artifacts, key)
    if kept is not None and _is_of(kept, witness):
        return kept
    del kept
    made = factorise(covariances.matrices[layer])
    artifacts.drop(KIND, key)
    artifacts.put(KIND, key, _packed(made))
    return made


@dataclass(frozen=True, slots=True)
class _Witness:
    """What a covariance (d, d) makes of a vector that nobody can foretell. It tells its factor from another's without
    both being held: each may be a third of the model."""

    vector: Tensor
    """(d,)"""
    product: Tensor
    """(d,)"""


def _witness(covariance: Tensor) -> _Witness:
    unforeseen = torch.Generator().manual_seed(secrets.randbits(63))
    vector = torch.randn(len(covariance), generator=unforeseen, dtype=covariance.dtype)
    return _Witness(vector, covariance @ vector)


def _is_of(factor: Factor, witness: _Witness) -> bool:
    """Whether L Lᵀ is the covariance with the ridge.

    A factor is in no version's record, so nothing else would tell another's factor in this one's place.
    """
    x, lower = witness.vector, factor.lower
    if lower.shape != (len(x), len(x)):
        return False
    wanted = witness.product + factor.ridge * x
    return bool((lower @ (lower.T @ x) - wanted).norm() <= TOLERANCE * wanted.norm())


def _packed(factor: Factor) -> bytes:
    return save(
        {
            "upper": factor.lower.T.contiguous(),  # LAPACK's order: nothing is copied
            "ridge": tensor(factor.ridge).double(),
            "largest.basis": factor.largest.basis,
            "largest.projected": factor.largest.projected,
            "smallest.basis": factor.smallest.basis,
            "smallest.projected": factor.smallest.projected,
        }
    )


def _kept(artifacts: ArtifactStore, key: str) -> Factor | None:
    """None where there is none, and for what no factor can be read from: it is made again."""
    blob = artifacts.get(KIND, key)
    if blob is None:
        return None
    try:
        found = load(blob)
        return Factor(
            lower=found["upper"].T,
            ridge=float(found["ridge"]),
            largest=Subspace(found["largest.basis"], found["largest.projected"]),
            smallest=Subspace(found["smallest.basis"], found["smallest.projected"]),
        )
    except (SafetensorError, KeyError):
        return None
