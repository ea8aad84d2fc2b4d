"""What the artifact store in memory shows to tests: its blobs, and those that were found damaged."""

from __future__ import annotations

import hashlib

from kbsync.testing import MemoryArtifactStore


def test_its_blobs_are_in_the_open_and_a_damaged_one_is_set_aside() -> None:
    store = MemoryArtifactStore()
    store.put("target", "abc", b"content")
    assert store.blobs == {("target", "abc"): (hashlib.sha256(b"content").hexdigest(), b"content")}
    store.blobs["target", "abc"] = (store.blobs["target", "abc"][0], b"rot")
    assert store.get("target", "abc") is None
    assert (store.blobs, store.damaged) == ({}, {("target", "abc"): b"rot"})
