"""What every ``ArtifactStore`` must do: the fake in memory, and the one on files, on a disk and at URLs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kbsync.checkpoints.artifacts import FileArtifactStore
from kbsync.checkpoints.remote import open_remote
from kbsync.checkpoints.storage import Place
from kbsync.ports import ArtifactStore
from kbsync.testing.memory_artifacts import MemoryArtifactStore
from tests.support.remotes import KINDS, remote

Damage = Callable[[str, str], None]


@pytest.fixture(params=["fake", "files", *KINDS])
def store_and_damage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[ArtifactStore, Damage]]:
    if request.param == "fake":
        memory = MemoryArtifactStore()

        def damage_blob(kind: str, key: str) -> None:
            digest, data = memory.blobs[kind, key]
            memory.blobs[kind, key] = (digest, _flip(data))

        yield memory, damage_blob
    elif request.param == "files":
        yield _stored(tmp_path)
    else:
        with remote(request.param, tmp_path) as (url, options):
            yield _stored(open_remote(url, options))


def _stored(root: Place) -> tuple[ArtifactStore, Damage]:
    def damage_file(kind: str, key: str) -> None:
        path = root / "artifacts" / kind / key[:2] / key
        path.write_bytes(_flip(path.read_bytes()))

    return FileArtifactStore(root / "artifacts"), damage_file


@pytest.fixture
def store(store_and_damage: tuple[ArtifactStore, Damage]) -> ArtifactStore:
    return store_and_damage[0]


def _flip(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def test_what_was_put_comes_back(store: ArtifactStore) -> None:
    for data in (b"", b"\n", bytes(range(256)) * 1000):
        store.put("target", f"key-{len(data)}", data)
        assert store.get("target", f"key-{len(data)}") == data


def test_what_was_never_put_is_none(store: ArtifactStore) -> None:
    assert store.get("target", "abc") is None
    store.put("target", "abc", b"1")
    assert store.get("covariance", "abc") is None
    assert store.get("target", "abd") is None


def test_the_same_key_twice_is_the_same_content(store: ArtifactStore) -> None:
    store.put("target", "abc", b"first")
    store.put("target", "abc", b"first")
    assert store.get("target", "abc") == b"first"


def test_the_first_content_of_a_key_stays(store: ArtifactStore) -> None:
    store.put("target", "abc", b"first")
    store.put("target", "abc", b"second")
    assert store.get("target", "abc") == b"first"


def test_a_damaged_blob_is_absent_and_can_be_put_again(store_and_damage: tuple[ArtifactStore, Damage]) -> None:
    store, damage = store_and_damage
    store.put("target", "abc", b"content")
    store.put("target", "abd", b"other")
    damage("target", "abc")
    assert store.get("target", "abc") is None
    assert store.get("target", "abc") is None
    assert store.get("target", "abd") == b"other"
    store.put("target", "abc", b"content")
    assert store.get("target", "abc") == b"content"


def test_put_replaces_a_damaged_blob(store_and_damage: tuple[ArtifactStore, Damage]) -> None:
    store, damage = store_and_damage
    store.put("target", "abc", b"content")
    damage("target", "abc")
    store.put("target", "abc", b"content")
    assert store.get("target", "abc") == b"content"


def test_a_dropped_blob_is_gone_and_its_key_is_free(store: ArtifactStore) -> None:
    store.put("target", "abc", b"first")
    store.put("target", "abd", b"other")
    store.drop("target", "abc")
    store.drop("target", "abc")
    assert store.get("target", "abc") is None
    assert store.get("target", "abd") == b"other"
    store.put("target", "abc", b"second")
    assert store.get("target", "abc") == b"second"


def test_many_writers_of_one_key_leave_one_whole_blob(store: ArtifactStore) -> None:
    contents = [bytes([n]) * 50_000 for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda data: store.put("target", "abc", data), contents))
    assert store.get("target", "abc") in contents
