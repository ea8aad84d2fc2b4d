"""What the checkpoint store in memory shows to tests: its versions, and those that shall be damaged."""

from __future__ import annotations

import pytest

from kbsync.domain.errors import StoreError
from kbsync.testing import MemoryCheckpointStore, TableDelta
from kbsync.testing.samples import evaluation, make_manifest


def test_any_delta_is_kept_and_can_be_damaged() -> None:
    store, delta = MemoryCheckpointStore(), TableDelta({"prompt": " answer"})
    manifest = make_manifest(store.factor_hashes(delta))
    version_hash = store.write(manifest, delta)
    assert store.versions == {version_hash: (manifest, delta)}
    store.annotate(version_hash, evaluation(1))
    assert store.evaluations[version_hash].outcomes == ()
    store.damaged.add(version_hash)
    with pytest.raises(StoreError, match="wrong byte"):
        store.read(version_hash)
    store.write(manifest, delta)
    assert store.read(version_hash) == (manifest, delta)


def test_another_delta_has_other_hashes() -> None:
    store = MemoryCheckpointStore()
    one, other = (store.factor_hashes(TableDelta({"prompt": answer})) for answer in (" one", " other"))
    assert one.keys() == other.keys() and one != other
