"""No name that comes from a file, a manifest, or a request leaves the store."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbsync.checkpoints.artifacts import FileArtifactStore
from kbsync.checkpoints.disk import DiskStorage
from kbsync.checkpoints.store import FileCheckpointStore
from kbsync.domain.errors import BadIdentifier, NotFound
from kbsync.domain.statement import item_id, property_id

EVIL = (
    "..",
    "../outside",
    "../../outside",
    "/etc/passwd",
    "a/../../outside",
    "a\x00b",
    "",
    ".hidden",
    "C:\\outside",
    "..%2foutside",
    "a\nb",
    "ü" * 64,
    "f" * 63 + "/",
    "f" * 64 + "\n",
    "F" * 64,
)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state directory with a version's look-alike outside."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "manifest.json").write_text("{}", encoding="utf-8")
    (tmp_path / "state" / "versions").mkdir(parents=True)
    return tmp_path / "state"


def everything(directory: Path) -> set[tuple[str, bytes]]:
    return {(str(p), p.read_bytes() if p.is_file() else b"") for p in directory.rglob("*")}


@pytest.mark.parametrize("name", EVIL)
def test_no_version_lies_outside(state: Path, name: str) -> None:
    store, before = FileCheckpointStore(DiskStorage(state)), everything(state.parent)
    for question in (store.read, store.manifest):
        with pytest.raises(NotFound):
            question(name)
    assert store.files(name) == []
    assert everything(state.parent) == before


@pytest.mark.parametrize("name", [name for name in EVIL if not name.isalpha() or not name.isascii()])
def test_no_artifact_lies_outside(state: Path, name: str) -> None:
    store, before = FileArtifactStore(DiskStorage(state / "artifacts")), everything(state.parent)
    with pytest.raises(ValueError, match="can't be the key"):
        store.get("targets", name)
    with pytest.raises(ValueError, match="can't be the key"):
        store.put("targets", name, b"data")
    with pytest.raises(ValueError, match="can't be the kind"):
        store.put(name, "key", b"data")
    assert everything(state.parent) == before


@pytest.mark.parametrize("name", EVIL)
def test_identifiers_are_identifiers(name: str) -> None:
    with pytest.raises(BadIdentifier):
        item_id(name)
    with pytest.raises(BadIdentifier):
        property_id(name)
