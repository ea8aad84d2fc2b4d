"""A factor is made once for each covariance, read with the same bits afterwards, and never taken for another one's."""

from __future__ import annotations

import pytest
import torch

from kbsync.editing.common import cholesky
from kbsync.editing.covariance import kept_factors
from kbsync.editing.covariance.kept_factors import KIND, factor_of
from tests.support.families import MemoryArtifacts, random_model, texts
from tests.unit.editing.covariance.test_covariance import measure


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Widths of the covariances that were factored."""
    widths: list[int] = []

    def counted(covariance: torch.Tensor) -> cholesky.Factor:
        widths.append(len(covariance))
        return cholesky.factorise(covariance)

    monkeypatch.setattr(kept_factors, "factorise", counted)
    return widths


def test_it_is_factored_once_and_read_with_the_same_bits(made: list[int]) -> None:
    artifacts = MemoryArtifacts()
    covariances = measure(random_model("llama"), texts(), artifacts)
    first, again = (factor_of(covariances, 1, artifacts) for _ in range(2))
    assert len(made) == 1
    assert torch.equal(first.lower, again.lower) and first.ridge == again.ridge
    for one, two in ((first.largest, again.largest), (first.smallest, again.smallest)):
        assert torch.equal(one.basis, two.basis) and torch.equal(one.projected, two.projected)
    assert torch.allclose(again.lower @ again.lower.T, covariances.matrices[1], rtol=1e-9)


def test_another_covariance_has_another_factor(made: list[int]) -> None:
    artifacts = MemoryArtifacts()
    for corpus in (texts(), texts(3)):
        covariances = measure(random_model("llama"), corpus, artifacts)
        for layer in (1, 2):
            factor_of(covariances, layer, artifacts)
    assert len(made) == len(artifacts.kinds(KIND)) == 4


def test_what_no_factor_can_be_read_from_is_made_again(made: list[int]) -> None:
    artifacts = MemoryArtifacts()
    covariances = measure(random_model("llama"), texts(), artifacts)
    first = factor_of(covariances, 1, artifacts)
    (place,) = artifacts.kinds(KIND)
    artifacts.exchange(place, b"no tensors")
    assert torch.equal(factor_of(covariances, 1, artifacts).lower, first.lower)
    factor_of(covariances, 1, artifacts)
    assert len(made) == 2


def test_another_ones_factor_in_its_place_is_not_taken(made: list[int]) -> None:
    artifacts = MemoryArtifacts()
    covariances = measure(random_model("llama"), texts(), artifacts)
    first, second = (factor_of(covariances, layer, artifacts) for layer in (1, 2))
    other = artifacts.get(KIND, covariances.digests[2])
    assert other is not None
    artifacts.exchange((KIND, covariances.digests[1]), other)
    assert torch.equal(factor_of(covariances, 1, artifacts).lower, first.lower)
    assert not torch.equal(first.lower, second.lower)
    assert len(made) == 3
