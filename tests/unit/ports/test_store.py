"""What the ports of the stores do themselves."""

from __future__ import annotations

import pytest

from kbsync.domain.errors import NotFound
from kbsync.ports import ArtifactStore, CheckpointStore, StoredVersion
from kbsync.testing import MemoryCheckpointStore, TableDelta
from kbsync.testing.samples import make_manifest


def test_a_manifest_is_that_of_the_stored_version_unless_a_store_keeps_it_apart() -> None:
    store, delta = MemoryCheckpointStore(), TableDelta({"prompt": " answer"})
    manifest = make_manifest(store.factor_hashes(delta))
    assert "manifest" not in vars(MemoryCheckpointStore), "it is the port's own method that is tested"
    with pytest.raises(NotFound):
        store.manifest(manifest.version_hash)
    assert store.manifest(store.write(manifest, delta)) == manifest


def test_a_stored_version_is_unpacked_in_order() -> None:
    delta = TableDelta({})
    manifest, unpacked = StoredVersion(make_manifest({}), delta)
    assert (manifest, unpacked) == (make_manifest({}), delta)


@pytest.mark.parametrize("port", [ArtifactStore, CheckpointStore])
def test_half_an_adapter_can_not_be_built(port: type) -> None:
    class Half(port):  # type: ignore[misc]
        def factor_hashes(self, delta: object) -> dict[str, str]:
            return {}

    with pytest.raises(TypeError, match="abstract"):
        Half()
