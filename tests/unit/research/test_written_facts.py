"""What facts are written with: a store without target vectors."""

from __future__ import annotations

from kbsync.research.written_facts import FreshTargets
from kbsync.testing.memory_artifacts import MemoryArtifactStore


def test_target_vectors_are_searched_anew_and_everything_else_is_found_again() -> None:
    store = MemoryArtifactStore()
    store.put("targets", "a", b"known")
    fresh = FreshTargets(store)
    fresh.put("targets", "b", b"searched")
    fresh.put("contexts", "c", b"kept")
    assert (fresh.get("targets", "a"), fresh.get("contexts", "c")) == (None, b"kept")
    assert (fresh.get("targets", "b"), FreshTargets(store).get("targets", "b")) == (b"searched", None)
    assert store.get("targets", "b") is None
    fresh.drop("contexts", "c")
    fresh.drop("targets", "b")
    assert (store.get("contexts", "c"), fresh.get("targets", "b")) == (None, None)
    assert store.get("targets", "a") == b"known"
