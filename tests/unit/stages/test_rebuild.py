"""A version is built again from its manifest; what differs is named, causes first."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kbsync.domain.errors import ModelError, NotFound
from kbsync.domain.version import Manifest
from kbsync.stages.rebuild import MAX_NAMED, RebuildResult, differences, rebuild
from kbsync.testing.samples import make_manifest
from tests.support.stage_world import World


def test_differences_name_causes_first() -> None:
    stored = make_manifest({"w": "1" * 64})
    request = stored.requests[0]
    again = replace(
        stored, factors={"w": "2" * 64}, targets={request.id: "0" * 64}, libraries={"torch": "9", "numpy": "1"}
    )
    assert differences(stored, stored) == ()
    assert differences(stored, again) == (
        "library numpy: none then, 1 now",
        "library torch: 2.13.0 then, 9 now",
        "the target vector of Q142 P35 (Frankreich “{}”: Zoë Müller) differs",
        "the factors of w differ",
    )
    assert "build hash" in differences(stored, replace(stored, build_hash="0" * 64))[0]


def test_many_differing_targets_are_counted() -> None:
    stored: Manifest = replace(make_manifest({}), targets={f"{i:064}": "a" for i in range(MAX_NAMED + 5)})
    said = differences(stored, replace(stored, targets={}))
    assert len(said) == MAX_NAMED + 1 and said[-1] == "5 more target vectors differ"


def rebuilt(world: World, *, base: str = "", repair: bool = False) -> RebuildResult:
    return rebuild(world.run, 1, base or world.base.fingerprint, lambda _: world.editor, world.store, repair=repair)


def test_the_same_version_comes_out_and_is_stored_again_only_on_demand(world: World) -> None:
    version = world.sync().version
    assert version is not None and version.version_hash is not None
    result = rebuilt(world)
    assert (result.reproduced, result.repaired, result.got) == (True, False, version.version_hash)
    assert (result.facts, result.differences) == (2, ())
    world.store.evaluations.clear()
    assert not rebuilt(world).repaired and world.store.evaluations == {}
    assert rebuilt(world, repair=True).repaired
    assert list(world.store.evaluations) == [version.version_hash]


def test_what_does_not_come_out_as_it_was_is_not_stored(world: World) -> None:
    version = world.sync().version
    assert version is not None and version.version_hash is not None
    world.editor.refuse = {"France": "the subject can't be located"}
    result = rebuilt(world, repair=True)
    assert (result.reproduced, result.repaired) == (False, False)
    assert any("the target vector of Q142 P6" in difference for difference in result.differences)
    assert list(world.store.hashes()) == [version.version_hash]


def test_only_a_version_of_this_base_that_was_built_is_built_again(world: World) -> None:
    with pytest.raises(NotFound, match="Version 1 is not built"):
        rebuilt(world)
    world.sync()
    calls = world.editor.calls
    with pytest.raises(ModelError, match="another base"):
        rebuilt(world, base="0" * 64)
    assert world.editor.calls == calls
