"""What every ``CheckpointStore`` must do: the fake in memory, and the one on files, on a disk and at URLs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
import torch

from kbsync.checkpoints.remote import open_remote
from kbsync.checkpoints.storage import Place
from kbsync.checkpoints.store import FACTORS, FileCheckpointStore
from kbsync.domain.errors import NotFound, StoreError
from kbsync.domain.version import Manifest
from kbsync.model.delta import FactorDelta
from kbsync.ports import CheckpointStore, Delta
from kbsync.testing.memory_checkpoints import MemoryCheckpointStore
from tests.support.ledger_builders import evaluation
from tests.support.manifest_samples import AT, make_manifest
from tests.support.remotes import KINDS, remote


@dataclass(frozen=True)
class WordDelta(Delta):
    """A delta that only has a name."""

    word: str

    @property
    def parameters(self) -> tuple[str, ...]:
        return ("table",)


@dataclass
class Case:
    store: CheckpointStore
    delta: Callable[[int], Delta]
    same: Callable[[Delta, Delta], bool]
    damage: Callable[[str], None]

    def manifest(self, seed: int = 0) -> Manifest:
        return make_manifest(self.store.factor_hashes(self.delta(seed)))


def factors(seed: int) -> FactorDelta:
    generator = torch.Generator().manual_seed(seed)
    pair = (torch.randn(6, 2, generator=generator), torch.randn(2, 4, generator=generator))
    return FactorDelta(factors={"model.layers.1.mlp.down_proj.weight": pair})


def same_factors(a: Delta, b: Delta) -> bool:
    assert isinstance(a, FactorDelta)
    assert isinstance(b, FactorDelta)
    return set(a.factors) == set(b.factors) and all(
        torch.equal(x, y) for name in a.factors for x, y in zip(a.factors[name], b.factors[name], strict=True)
    )


@pytest.fixture(params=["fake", "files", *KINDS])
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    if request.param == "fake":
        memory = MemoryCheckpointStore()
        yield Case(memory, lambda seed: WordDelta(str(seed)), lambda a, b: a == b, memory.damaged.add)
    elif request.param == "files":
        yield _stored(tmp_path)
    else:
        with remote(request.param, tmp_path) as (url, options):
            yield _stored(open_remote(url, options))


def _stored(root: Place) -> Case:
    def damage(version_hash: str) -> None:
        path = root / "versions" / version_hash / FACTORS
        data = path.read_bytes()
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))

    return Case(FileCheckpointStore(root), factors, same_factors, damage)


def test_a_version_comes_back_as_it_was_written(case: Case) -> None:
    manifest = case.manifest()
    version_hash = case.store.write(manifest, case.delta(0))
    assert version_hash == manifest.version_hash
    found, delta = case.store.read(version_hash)
    assert found == manifest
    assert case.same(delta, case.delta(0))
    assert case.store.factor_hashes(delta) == manifest.factors
    case.store.verify(version_hash)


def test_hashes_lists_all_versions_sorted(case: Case) -> None:
    assert case.store.hashes() == []
    written = [case.store.write(case.manifest(seed), case.delta(seed)) for seed in range(4)]
    assert len(set(written)) == 4
    assert case.store.hashes() == sorted(written)


def test_writing_twice_keeps_the_first(case: Case) -> None:
    manifest = case.manifest()
    later = replace(manifest, created_at=AT + timedelta(days=1))
    assert case.store.write(manifest, case.delta(0)) == case.store.write(later, case.delta(0))
    assert len(case.store.hashes()) == 1
    assert case.store.read(manifest.version_hash)[0].created_at == AT


def test_factor_hashes_follow_the_content(case: Case) -> None:
    assert case.store.factor_hashes(case.delta(1)) == case.store.factor_hashes(case.delta(1))
    assert case.store.factor_hashes(case.delta(1)) != case.store.factor_hashes(case.delta(2))
    assert set(case.store.factor_hashes(case.delta(1))) == set(case.delta(1).parameters)


def test_a_manifest_of_other_factors_is_refused(case: Case) -> None:
    with pytest.raises(StoreError, match="factor hashes"):
        case.store.write(case.manifest(1), case.delta(2))
    assert case.store.hashes() == []


@pytest.mark.parametrize("version_hash", ["0" * 64, "", "..", "../versions", "x/y"])
def test_what_is_not_there_is_not_found(case: Case, version_hash: str) -> None:
    with pytest.raises(NotFound):
        case.store.read(version_hash)
    with pytest.raises(NotFound):
        case.store.verify(version_hash)


def test_a_wrong_byte_is_an_error_and_writing_again_heals_it(case: Case) -> None:
    manifest = case.manifest()
    version_hash = case.store.write(manifest, case.delta(0))
    other = case.store.write(case.manifest(1), case.delta(1))
    case.damage(version_hash)
    with pytest.raises(StoreError):
        case.store.verify(version_hash)
    with pytest.raises(StoreError):
        case.store.read(version_hash)
    case.store.verify(other)
    assert case.store.write(manifest, case.delta(0)) == version_hash
    case.store.verify(version_hash)


def test_the_manifest_alone(case: Case) -> None:
    manifest = case.manifest()
    with pytest.raises(NotFound):
        case.store.manifest(manifest.version_hash)
    assert case.store.manifest(case.store.write(manifest, case.delta(0))) == manifest


def test_a_version_keeps_how_it_was_judged_last(case: Case) -> None:
    manifest, first, second = case.manifest(), evaluation(1, passed=False), evaluation(1)
    case.store.annotate(manifest.version_hash, first)
    with pytest.raises(NotFound):
        case.store.evaluation(manifest.version_hash)
    version_hash = case.store.write(manifest, case.delta(0))
    assert case.store.evaluation(version_hash) is None
    for told in (first, second):
        case.store.annotate(version_hash, told)
        assert case.store.evaluation(version_hash) == replace(told, outcomes=())
    case.store.verify(version_hash)
    assert case.store.read(version_hash)[0] == manifest
