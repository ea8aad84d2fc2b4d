"""What every ``CheckpointStore`` must do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from datetime import timedelta

import pytest

from kbsync.domain.errors import NotFound, StoreError
from kbsync.domain.version import Manifest
from kbsync.ports import CheckpointStore, Delta
from kbsync.testing.samples import MANIFEST_AT, evaluation, make_manifest


class VersionCase(ABC):
    """An empty store, and what the suite must know of it."""

    store: CheckpointStore

    @abstractmethod
    def delta(self, seed: int) -> Delta:
        """A delta that the store can hold; the same for the same seed, and another for another."""

    @abstractmethod
    def same(self, one: Delta, other: Delta) -> bool:
        """Whether two deltas are equal, bit for bit."""

    @abstractmethod
    def damage(self, version_hash: str) -> None:
        """Change one byte of a stored version's weights behind the store's back."""

    def manifest(self, seed: int = 0) -> Manifest:
        """A manifest for ``delta(seed)``."""
        return make_manifest(self.store.factor_hashes(self.delta(seed)))


class CheckpointStoreConformance:
    """Override the fixture ``case``."""

    @pytest.fixture
    def case(self) -> VersionCase:
        """An empty store with its deltas."""
        raise NotImplementedError("override the fixture `case`")

    def test_a_version_comes_back_as_it_was_written(self, case: VersionCase) -> None:
        manifest = case.manifest()
        version_hash = case.store.write(manifest, case.delta(0))
        assert version_hash == manifest.version_hash
        found, delta = case.store.read(version_hash)
        assert found == manifest
        assert case.same(delta, case.delta(0))
        assert case.store.factor_hashes(delta) == manifest.factors
        case.store.verify(version_hash)

    def test_hashes_lists_all_versions_sorted(self, case: VersionCase) -> None:
        assert case.store.hashes() == []
        written = [case.store.write(case.manifest(seed), case.delta(seed)) for seed in range(4)]
        assert len(set(written)) == 4
        assert case.store.hashes() == sorted(written)

    def test_writing_twice_keeps_the_first(self, case: VersionCase) -> None:
        manifest = case.manifest()
        later = replace(manifest, created_at=MANIFEST_AT + timedelta(days=1))
        assert case.store.write(manifest, case.delta(0)) == case.store.write(later, case.delta(0))
        assert len(case.store.hashes()) == 1
        assert case.store.read(manifest.version_hash)[0].created_at == MANIFEST_AT

    def test_factor_hashes_follow_the_content(self, case: VersionCase) -> None:
        assert case.store.factor_hashes(case.delta(1)) == case.store.factor_hashes(case.delta(1))
        assert case.store.factor_hashes(case.delta(1)) != case.store.factor_hashes(case.delta(2))
        assert set(case.store.factor_hashes(case.delta(1))) == set(case.delta(1).parameters)

    def test_a_manifest_of_other_factors_is_refused(self, case: VersionCase) -> None:
        with pytest.raises(StoreError, match="factor hashes"):
            case.store.write(case.manifest(1), case.delta(2))
        assert case.store.hashes() == []

    @pytest.mark.parametrize("version_hash", ["0" * 64, "", "..", "../versions", "x/y"])
    def test_what_is_not_there_is_not_found(self, case: VersionCase, version_hash: str) -> None:
        with pytest.raises(NotFound):
            case.store.read(version_hash)
        with pytest.raises(NotFound):
            case.store.verify(version_hash)

    def test_a_wrong_byte_is_an_error_and_writing_again_heals_it(self, case: VersionCase) -> None:
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

    def test_the_manifest_alone(self, case: VersionCase) -> None:
        manifest = case.manifest()
        with pytest.raises(NotFound):
            case.store.manifest(manifest.version_hash)
        assert case.store.manifest(case.store.write(manifest, case.delta(0))) == manifest

    def test_a_version_keeps_how_it_was_judged_last(self, case: VersionCase) -> None:
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
