"""What every ``ArtifactStore`` must do."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from kbsync.ports import ArtifactStore

Damage = Callable[[str, str], None]
"""``damage(kind, key)`` changes one byte of a stored blob behind the store's back."""


class ArtifactStoreConformance:
    """Override the fixtures ``store`` and ``damage``."""

    @pytest.fixture
    def store(self) -> ArtifactStore:
        """An empty store; its kinds and keys are those that ``put`` is given."""
        raise NotImplementedError("override the fixture `store`")

    @pytest.fixture
    def damage(self, store: ArtifactStore) -> Damage:
        """How to change one byte of a blob in ``store``."""
        raise NotImplementedError("override the fixture `damage`")

    def test_what_was_put_comes_back(self, store: ArtifactStore) -> None:
        for data in (b"", b"\n", bytes(range(256)) * 1000):
            store.put("target", f"key-{len(data)}", data)
            assert store.get("target", f"key-{len(data)}") == data

    def test_what_was_never_put_is_none(self, store: ArtifactStore) -> None:
        assert store.get("target", "abc") is None
        store.put("target", "abc", b"1")
        assert store.get("covariance", "abc") is None
        assert store.get("target", "abd") is None

    def test_the_same_key_twice_is_the_same_content(self, store: ArtifactStore) -> None:
        store.put("target", "abc", b"first")
        store.put("target", "abc", b"first")
        assert store.get("target", "abc") == b"first"

    def test_the_first_content_of_a_key_stays(self, store: ArtifactStore) -> None:
        store.put("target", "abc", b"first")
        store.put("target", "abc", b"second")
        assert store.get("target", "abc") == b"first"

    def test_a_damaged_blob_is_absent_and_can_be_put_again(self, store: ArtifactStore, damage: Damage) -> None:
        store.put("target", "abc", b"content")
        store.put("target", "abd", b"other")
        damage("target", "abc")
        assert store.get("target", "abc") is None
        assert store.get("target", "abc") is None
        assert store.get("target", "abd") == b"other"
        store.put("target", "abc", b"content")
        assert store.get("target", "abc") == b"content"

    def test_put_replaces_a_damaged_blob(self, store: ArtifactStore, damage: Damage) -> None:
        store.put("target", "abc", b"content")
        damage("target", "abc")
        store.put("target", "abc", b"content")
        assert store.get("target", "abc") == b"content"

    def test_a_dropped_blob_is_gone_and_its_key_is_free(self, store: ArtifactStore) -> None:
        store.put("target", "abc", b"first")
        store.put("target", "abd", b"other")
        store.drop("target", "abc")
        store.drop("target", "abc")
        assert store.get("target", "abc") is None
        assert store.get("target", "abd") == b"other"
        store.put("target", "abc", b"second")
        assert store.get("target", "abc") == b"second"

    def test_many_writers_of_one_key_leave_one_whole_blob(self, store: ArtifactStore) -> None:
        contents = [bytes([n]) * 50_000 for n in range(8)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda data: store.put("target", "abc", data), contents))
        assert store.get("target", "abc") in contents
