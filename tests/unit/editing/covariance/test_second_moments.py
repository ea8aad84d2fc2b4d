"""A measurement that is killed goes on, and ends with the same bytes as one that was not."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from kbsync.checkpoints.artifacts import FileArtifactStore
from kbsync.checkpoints.disk import DiskStorage
from kbsync.domain.errors import EditError, Stopped
from kbsync.editing.covariance import second_moments
from kbsync.editing.covariance.covariance import Covariances, covariances
from kbsync.model.decoder import discover
from kbsync.ports import ArtifactStore
from tests.support.families import MemoryArtifacts, Silent, random_model, recipe, texts, tokenizer

LONG = ["".join(texts(40))[:400]] * 50
RECIPE = recipe(covariance_tokens=17_000)


class Killing(Silent):
    """Ends the process as a power cut does, at one of the advances."""

    def advance(self, count: int = 1) -> None:
        super().advance(count)
        if self.advances == 3:
            os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A forked child must not wait for the threads of its parent; and snapshots come after every batch."""
    monkeypatch.setattr(second_moments, "SNAPSHOT_SECONDS", 0.0)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def measure(corpus: list[str], artifacts: ArtifactStore, work: Silent) -> Covariances:
    model = random_model("llama")
    model.config.max_position_embeddings = 256
    return covariances(discover(model), tokenizer(), corpus, RECIPE, "base", artifacts, work)


def stored(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize("corpus", [LONG, []], ids=["given", "sampled"])
def test_after_a_kill_it_goes_on_and_gives_the_same_bytes(tmp_path: Path, one_thread: None, corpus: list[str]) -> None:
    child = os.fork()
    if child == 0:
        try:
            measure(corpus, FileArtifactStore(DiskStorage(tmp_path / "killed")), Killing())
        finally:
            os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert {name.split("/")[0] for name in stored(tmp_path / "killed")} == {"covariance-part"}
    rest, whole = Silent(), Silent()
    again = measure(corpus, FileArtifactStore(DiskStorage(tmp_path / "killed")), rest)
    once = measure(corpus, FileArtifactStore(DiskStorage(tmp_path / "whole")), whole)
    assert 0 < rest.advances < whole.advances
    assert stored(tmp_path / "killed") == stored(tmp_path / "whole")
    assert {name.split("/")[0] for name in stored(tmp_path / "whole")} == {"covariance"}
    assert again.fingerprint == once.fingerprint


@pytest.mark.slow
def test_a_stop_keeps_what_was_summed(one_thread: None) -> None:
    artifacts = MemoryArtifacts()
    with pytest.raises(Stopped):
        measure(LONG, artifacts, Silent(stop_at=3, error=Stopped("asked to stop")))
    assert len(artifacts.blobs) == 2
    assert measure(LONG, artifacts, Silent()).fingerprint == measure(LONG, MemoryArtifacts(), Silent()).fingerprint


def test_without_a_long_run_no_snapshot_is_written() -> None:
    class Counting(MemoryArtifacts):
        written: tuple[str, ...] = ()

        def put(self, kind: str, key: str, data: bytes) -> None:
            self.written += (kind,)
            super().put(kind, key, data)

    artifacts = Counting()
    measure(LONG, artifacts, Silent())
    assert set(artifacts.written) == {"covariance"}


@pytest.mark.slow
def test_parts_of_another_measurement_are_not_taken_up(one_thread: None) -> None:
    artifacts = MemoryArtifacts()
    with pytest.raises(Stopped):
        measure(LONG, artifacts, Silent(stop_at=3, error=Stopped("asked to stop")))
    work = Silent()
    measure([*LONG[:49], "other"], artifacts, work)
    alone = Silent()
    measure([*LONG[:49], "other"], MemoryArtifacts(), alone)
    assert work.advances == alone.advances


def test_a_key_that_is_not_finite_is_refused() -> None:
    model = random_model("llama")
    decoder = discover(model)
    model.model.layers[1].mlp.up_proj.weight.data.fill_(1e38)
    with pytest.raises(EditError, match="layer 1 is not finite"):
        covariances(decoder, tokenizer(), texts(), recipe(), "base", MemoryArtifacts(), Silent())
