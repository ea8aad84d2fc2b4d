"""Versions and artifacts at a URL: the whole life of versions, on memory, a disk through fsspec, and a WebDAV
server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kbsync.checkpoints.remote import open_remote
from kbsync.checkpoints.store import FACTORS, MANIFEST, FileCheckpointStore
from kbsync.domain.errors import ConfigError, StoreError
from kbsync.testing.samples import make_manifest
from tests.conformance.test_checkpoints import factors
from tests.support.remotes import KINDS, remote
from tests.support.site import MakeSite, Site, fact

FIRST, SECOND = fact(1, "Paris"), fact(2, "Oslo")


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    with remote(request.param, tmp_path) as found:
        yield found


@pytest.fixture
def distant(place: tuple[str, dict[str, Any]], new_site: MakeSite, tmp_path: Path) -> Site:
    url, options = place
    options_text = ", ".join(f"{name} = {json.dumps(value)}" for name, value in options.items())
    policy = '[retention]\nkeep_last = 1\nkeep_newer = "0s"\nrollback_window = 1\nspare = "0s"\n'
    more = f'[store]\nurl = "{url}"\noptions = {{ {options_text} }}\n{policy}'
    return new_site(tmp_path / "site", more=more)


@pytest.mark.slow
def test_a_life_of_versions(distant: Site, place: tuple[str, dict[str, Any]]) -> None:
    for facts in ([FIRST], [FIRST, SECOND], [SECOND]):
        distant.release(*facts)
    assert not (distant.state / "versions").exists()
    assert not (distant.state / "artifacts").exists()
    assert json.loads((distant.state / "current" / "kbsync.json").read_text())["version"] == 3
    assert distant.good("verify", "--json").json["versions"] == 3
    assert distant.good("rebuild", "2", "--json").json["reproduced"]
    told = distant.good("gc", "--json").json
    gone = [t["name"] for t in told["things"] if not t["keep"] and t["kind"] == "version"]
    assert gone == ["1"]
    assert distant.good("gc", "--json").json["removed"] == 0
    assert [c["change"] for c in distant.good("diff", "1", "3", "--json").json["changes"]] == ["retract", "add"]
    assert distant.good("verify", "--json").json["explanations"] == 1
    distant.good("rebuild", "1", "--repair", "--anew")
    distant.good("rollback", "--to", "2")
    distant.good("verify")
    storage = open_remote(*place)
    hidden = [name for name in storage.files() if "/." in f"/{name}"]
    assert hidden == [], "nothing unfinished, nothing set aside"


@pytest.mark.slow
def test_damage_is_named_and_set_aside_when_it_is_mended(distant: Site, place: tuple[str, dict[str, Any]]) -> None:
    distant.release(FIRST)
    storage, name = open_remote(*place), f"versions/{distant.version_hash(1)}/{FACTORS}"
    whole = storage.read(name)
    storage.write(name, whole[:-1] + b"x")
    found = distant("verify")
    assert found.code == 4
    assert FACTORS in found.out + found.err
    distant.good("rebuild", "1", "--repair")
    distant.good("verify")
    assert storage.read(name) == whole
    assert [t["kind"] for t in distant.good("gc", "--json").json["things"] if not t["keep"]] == ["leftover"]


@pytest.mark.slow
def test_what_a_killed_write_left_does_not_count_and_goes(place: tuple[str, dict[str, Any]]) -> None:
    storage = open_remote(*place)
    store, delta = FileCheckpointStore(storage), factors(0)
    manifest = make_manifest(store.factor_hashes(delta))
    half = f"versions/{manifest.version_hash}"
    storage.write(f"{half}/{FACTORS}", b"half")
    storage.write(f"{half}/.unfinished-{MANIFEST}-12345678", b"less than half")
    assert store.hashes() == []
    assert [entry.last for entry in store.halves()] == [manifest.version_hash]
    store.clean_temporary()
    assert storage.files() == [] and store.halves() == []
    storage.write(f"{half}/{FACTORS}", b"half")
    assert store.write(manifest, delta) == manifest.version_hash, "a write does not mind what is there"
    store.verify(manifest.version_hash)


def test_a_store_that_can_not_be_reached_says_so(tmp_path: Path) -> None:
    with remote("webdav", tmp_path) as (url, options):
        storage = open_remote(url, options)
    store, delta = FileCheckpointStore(storage), factors(0)
    with pytest.raises(StoreError, match="webdav://kbsync/versions"):
        store.write(make_manifest(store.factor_hashes(delta)), delta)


@pytest.mark.parametrize(
    ("url", "options"), [("nothing://x", {}), ("webdav://x", {}), ("gibberish-without-colon://", {})]
)
def test_a_url_that_makes_no_sense_is_a_mistake_of_the_configuration(url: str, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"store\.url"):
        open_remote(url, options)


def test_a_file_that_comes_back_as_another_is_refused(
    place: tuple[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = open_remote(*place)
    monkeypatch.setattr(type(storage._system), "cat_file", lambda self, path, **_: b"something else")
    with pytest.raises(OSError, match="not stored as it was written"):
        storage.write("a/file", b"content")
    assert not storage.exists("a/file")


def test_paths_are_as_people_write_them() -> None:
    storage = open_remote("memory://kbsync/x/", {})
    assert (storage.where(), storage.where("a")) == ("memory:///kbsync/x", "memory:///kbsync/x/a")
    assert storage.below("a").where("b.json") == "memory:///kbsync/x/a/b.json"


@pytest.mark.parametrize("name", ["a b", "100%41", "x#y", "q?y", "[z]", "ü*é", "a&b;c", "it's", "back\\slash"])
@pytest.mark.parametrize("kind", ["memory", "file"])
def test_signs_that_mean_something_elsewhere_may_stand_in_a_stores_name(kind: str, name: str, tmp_path: Path) -> None:
    base = f"memory://{tmp_path.name}" if kind == "memory" else f"file://{tmp_path}"
    storage = open_remote(f"{base}/{name}", {}).below("versions")
    for content in (b"1", b"2"):
        storage.write("h/one.json", content)
        assert (storage.read("h/one.json"), storage.files("h")) == (content, ["h/one.json"])
        storage.write_directory("d", {"a": content, "m": b""}, mark="m", check=lambda _: None, aside="old")
    assert (storage.read("d/a"), storage.read("old/a")) == (b"2", b"1")
    storage.remove_directory("old", "m")
    assert sorted(storage.names()) == ["d", "h"]
    assert storage.unfinished() == []
    if kind == "file":
        assert (tmp_path / name / "versions" / "d" / "a").read_bytes() == b"2"
