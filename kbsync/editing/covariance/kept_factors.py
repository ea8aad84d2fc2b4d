"""Factors of the key covariances, kept beside them: factoring takes the cube of the width, and reading its square.

A factor is stored under the SHA-256 of the covariance that it was made from, so that it is never another one's.
"""

from __future__ import annotations

import secrets

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
    kept = _kept(artifacts, key)  # both are as large as the key's square: of neither a second copy is held
    matrix = covariances.matrices[layer]
    if kept is not None and _is_of(kept, matrix):
        return kept
    made = factorise(matrix)
    del kept, matrix
    artifacts.drop(KIND, key)
    artifacts.put(KIND, key, _packed(made))
    return made


def _is_of(factor: Factor, covariance: Tensor) -> bool:
    """Whether L Lᵀ is the covariance with the ridge, as it acts on a vector that nobody can foretell.

    A factor is in no version's record, so nothing else would tell another's factor in this one's place.
    """
    if factor.lower.shape != covariance.shape:
        return False
    x = torch.randn(len(covariance), generator=_unforeseen(), dtype=covariance.dtype)
    wanted = covariance @ x + factor.ridge * x
    return bool((factor.lower @ (factor.lower.T @ x) - wanted).norm() <= TOLERANCE * wanted.norm())


def _unforeseen() -> torch.Generator:
    return torch.Generator().manual_seed(secrets.randbits(63))


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
