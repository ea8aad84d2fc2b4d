"""The suite notices a checkpoint store that breaks a promise."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from kbsync.domain.version import Evaluation, Manifest
from kbsync.ports import Delta
from kbsync.testing import MemoryCheckpointStore, TableDelta
from kbsync.testing.conformance import CheckpointStoreConformance, VersionCase

SUITE = CheckpointStoreConformance()


@dataclass
class Case(VersionCase):
    store: MemoryCheckpointStore

    def delta(self, seed: int) -> TableDelta:
        return TableDelta({"prompt": str(seed)})

    def same(self, one: Delta, other: Delta) -> bool:
        return one == other

    def damage(self, version_hash: str) -> None:
        self.store.damaged.add(version_hash)


class Overwriting(MemoryCheckpointStore):
    def write(self, manifest: Manifest, delta: Delta) -> str:
        self.versions.pop(manifest.version_hash, None)
        return super().write(manifest, delta)


class Trusting(MemoryCheckpointStore):
    def write(self, manifest: Manifest, delta: Delta) -> str:
        self.versions[manifest.version_hash] = (manifest, delta)
        return manifest.version_hash


class Blind(MemoryCheckpointStore):
    def verify(self, version_hash: str) -> None:
        """Looks at nothing."""


class Forgetful(MemoryCheckpointStore):
    def annotate(self, version_hash: str, evaluation: Evaluation) -> None:
        self.evaluations.setdefault(version_hash, evaluation)


def test_a_store_that_overwrites() -> None:
    with pytest.raises(AssertionError):
        SUITE.test_writing_twice_keeps_the_first(Case(Overwriting()))


def test_a_store_that_takes_any_factors() -> None:
    with pytest.raises(pytest.fail.Exception):
        SUITE.test_a_manifest_of_other_factors_is_refused(Case(Trusting()))


def test_a_store_that_verifies_nothing() -> None:
    with pytest.raises(pytest.fail.Exception):
        SUITE.test_a_wrong_byte_is_an_error_and_writing_again_heals_it(Case(Blind()))
    with pytest.raises(pytest.fail.Exception):
        SUITE.test_what_is_not_there_is_not_found(Case(Blind()), "0" * 64)


def test_a_store_that_keeps_the_first_evaluation() -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        SUITE.test_a_version_keeps_how_it_was_judged_last(Case(Forgetful()))
