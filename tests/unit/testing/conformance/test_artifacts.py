"""The suite notices an artifact store that breaks a promise."""

from __future__ import annotations

import pytest

from kbsync.testing import MemoryArtifactStore
from kbsync.testing.conformance import ArtifactStoreConformance

SUITE = ArtifactStoreConformance()


class Overwriting(MemoryArtifactStore):
    def put(self, kind: str, key: str, data: bytes) -> None:
        self.drop(kind, key)
        super().put(kind, key, data)


class KindBlind(MemoryArtifactStore):
    def get(self, kind: str, key: str) -> bytes | None:
        return super().get("any", key)

    def put(self, kind: str, key: str, data: bytes) -> None:
        super().put("any", key, data)


class Clinging(MemoryArtifactStore):
    def drop(self, kind: str, key: str) -> None:
        """Drops nothing."""


def test_a_store_that_overwrites() -> None:
    with pytest.raises(AssertionError):
        SUITE.test_the_first_content_of_a_key_stays(Overwriting())


def test_a_store_that_takes_one_kind_for_another() -> None:
    with pytest.raises(AssertionError):
        SUITE.test_what_was_never_put_is_none(KindBlind())


def test_a_store_that_drops_nothing() -> None:
    with pytest.raises(AssertionError):
        SUITE.test_a_dropped_blob_is_gone_and_its_key_is_free(Clinging())


def test_a_store_that_hands_out_damaged_content() -> None:
    store = MemoryArtifactStore()
    with pytest.raises(AssertionError):
        SUITE.test_a_damaged_blob_is_absent_and_can_be_put_again(store, lambda kind, key: None)
