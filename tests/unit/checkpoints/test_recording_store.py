"""Stores around another: one records what an edit rests on, one lets an edit run without writing."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from kbsync.checkpoints.recording_store import OverlayStore, RecordingEditor, RecordingStore, with_derived
from kbsync.domain.recipe import Recipe
from kbsync.domain.rewrite import Preserved, Rewrite
from kbsync.ports import UNWATCHED, ArtifactStore, Edit, Work
from kbsync.testing import MemoryArtifactStore, TableEditor
from kbsync.testing.samples import edit_plan


def digest(data: bytes) -> str:
    return sha256(data).hexdigest()


def test_what_is_read_and_written_is_on_record() -> None:
    inner = MemoryArtifactStore()
    inner.put("target", "known", b"old")
    store = RecordingStore(inner)
    assert store.get("target", "absent") is None
    assert store.get("target", "known") == b"old"
    store.put("covariance", "new", b"data")
    assert store.used == {"target/known": digest(b"old"), "covariance/new": digest(b"data")}
    store.drop("covariance", "new")
    assert store.used == {"target/known": digest(b"old")}
    assert inner.get("covariance", "new") is None


def test_what_follows_from_another_artifact_is_not_on_record() -> None:
    inner = MemoryArtifactStore()
    store = RecordingStore(inner)
    store.put("factor", "of a covariance", b"lower")
    assert store.get("factor", "of a covariance") == b"lower"
    assert store.used == {}
    store.drop("factor", "of a covariance")
    assert inner.get("factor", "of a covariance") is None


def test_what_follows_from_a_recorded_artifact_is_found_by_its_digest() -> None:
    recorded = {"covariance/one": "a" * 64, "targets/two": "b" * 64}
    assert with_derived(recorded) == {*recorded, "factor/" + "a" * 64}


def test_an_overlay_hides_kinds_and_keeps_writes_to_itself() -> None:
    inner = MemoryArtifactStore()
    inner.put("target", "known", b"old")
    inner.put("contexts", "known", b"text")
    store = OverlayStore(inner, ["target"])
    assert (store.get("target", "known"), store.get("contexts", "known")) == (None, b"text")
    store.put("target", "known", b"new")
    store.put("target", "known", b"newer")
    store.put("covariance", "dropped", b"data")
    store.drop("covariance", "dropped")
    assert store.get("target", "known") == b"new"
    assert (inner.get("target", "known"), inner.get("covariance", "dropped")) == (b"old", None)


def test_an_overlay_stores_what_was_written_when_it_is_told_to() -> None:
    inner = MemoryArtifactStore()
    store = OverlayStore(inner)
    store.put("target", "one", b"1")
    store.commit()
    assert inner.get("target", "one") == b"1"


class Reading(TableEditor):
    """Reads an artifact for each rewrite, as a real editor reads target vectors."""

    def __init__(self, artifacts: ArtifactStore) -> None:
        super().__init__()
        self.artifacts = artifacts

    def edit(
        self, rewrites: Sequence[Rewrite], recipe: Recipe, work: Work, *, guards: Sequence[Preserved] = ()
    ) -> Edit:
        for rewrite in rewrites:
            self.artifacts.put("target", rewrite.target, rewrite.target.encode())
        return super().edit(rewrites, recipe, work, guards=guards)


def test_every_edit_names_the_artifacts_of_its_own() -> None:
    editor, recipe = RecordingEditor(MemoryArtifactStore(), Reading), Recipe(name="table", layers=(1,))
    for target in ("Ada", "Bob"):
        edit = editor.edit(edit_plan(target).requests, recipe, UNWATCHED)
        assert edit.artifacts == {f"target/{target}": digest(target.encode())}
