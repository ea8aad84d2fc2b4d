"""Factors of the key covariances, kept beside them: factoring takes the cube of the width, and reading its square.

A factor is stored under the SHA-256 of the covariance that it was made from, so that it is never another one's.
"""

from __future__ import annotations

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import tensor

from kbsync.domain.canonical import content_hash
from kbsync.editing.common.cholesky import Factor, factorise
from kbsync.editing.common.lanczos import Subspace
from kbsync.editing.covariance.covariance import Covariances
from kbsync.ports import ArtifactStore

FORMAT = 1
"""Of what is stored; part of each key."""
KIND = "factor"


def factor_of(covariances: Covariances, layer: int, artifacts: ArtifactStore) -> Factor:
    """The factor of a layer's covariance, read from the store or made and kept there.

    Raises:
        EditError: The covariance is gone or unsound.
    """
    key = content_hash([KIND, FORMAT, covariances.digests[layer]])
    blob = artifacts.get(KIND, key)
    if blob is not None and (kept := _read(blob)) is not None:
        return kept
    made = factorise(covariances.matrices[layer])
    if blob is not None:
        artifacts.drop(KIND, key)
    artifacts.put(KIND, key, _packed(made))
    return made


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


def _read(blob: bytes) -> Factor | None:
    """None for what no factor can be read from: it is made again."""
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
