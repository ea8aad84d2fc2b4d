"""Batches of the covariance as tasks: the same bytes whoever does them, in whatever order they are finished."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from kbsync.domain.errors import EditError, Stopped
from kbsync.editing.covariance import batch_tasks, second_moments
from kbsync.editing.covariance.batch_tasks import COVARIANCE_TASKS, CovarianceWorker, at_once
from kbsync.editing.covariance.covariance import covariances
from kbsync.model.decoder import Decoder, discover
from kbsync.ports import UNWATCHED, Executor, InProcessExecutor, Part, Work
from tests.support.families import M, MemoryArtifacts, Silent, random_model, recipe, texts, tokenizer

LONG = ["".join(texts(40))[:400]] * 50
"""Several batches."""
RECIPE = recipe(covariance_tokens=17_000)
Stored = dict[tuple[str, str], tuple[str, bytes]]


class Noting(InProcessExecutor):
    """Notes how many tasks it was given each time, and gives the last one's parts first."""

    def __init__(self, decoder: Decoder) -> None:
        super().__init__(CovarianceWorker(decoder))
        self.given: list[int] = []

    def map(self, kind: str, shared: bytes, tasks: Sequence[bytes], work: Work = UNWATCHED) -> Iterator[Part]:
        assert kind == COVARIANCE_TASKS
        self.given.append(len(tasks))
        for part in super().map(kind, shared, tasks[::-1], work):
            yield Part(len(tasks) - 1 - part.task, part.data)


class Forgetting(Noting):
    """Gives all parts but the last one."""

    def map(self, kind: str, shared: bytes, tasks: Sequence[bytes], work: Work = UNWATCHED) -> Iterator[Part]:
        yield from list(super().map(kind, shared, tasks, work))[:-1]


def measured(decoder: Decoder, corpus: Sequence[str], by: Executor | None, work: Work | None = None) -> Stored:
    artifacts = MemoryArtifacts()
    covariances(decoder, tokenizer(), corpus, RECIPE, "base", artifacts, work or Silent(), by)
    return artifacts.blobs


@pytest.mark.slow
def test_what_is_stored_is_the_same_bytes_when_the_last_batch_comes_first() -> None:
    decoder = discover(random_model("llama"))
    by = Noting(decoder)
    assert measured(decoder, LONG, by) == measured(decoder, LONG, None)
    assert sum(by.given) > 3


@pytest.mark.slow
@pytest.mark.parametrize(("room", "most"), [(2, 2), (1, 1), (0, 1)])
def test_no_more_batches_are_given_out_than_there_is_memory_for(
    monkeypatch: pytest.MonkeyPatch, room: int, most: int
) -> None:
    decoder = discover(random_model("llama"))
    monkeypatch.setattr(batch_tasks, "HELD_BYTES", room * len(RECIPE.layers) * M * M * 4)
    assert at_once(decoder, RECIPE.layers) == most
    by = Noting(decoder)
    assert measured(decoder, LONG, by) == measured(decoder, LONG, None)
    assert max(by.given) == most


@pytest.mark.slow
def test_what_a_stop_kept_is_taken_up_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A snapshot stands behind the batch that was added last, not behind those that were given out."""
    monkeypatch.setattr(second_moments, "SNAPSHOT_SECONDS", 0.0)
    decoder, artifacts = discover(random_model("llama")), MemoryArtifacts()
    stopping = Silent(stop_at=2, error=Stopped("asked to stop"))
    with pytest.raises(Stopped):
        covariances(decoder, tokenizer(), LONG, RECIPE, "base", artifacts, stopping, Noting(decoder))
    rest, whole = Silent(), Silent()
    covariances(decoder, tokenizer(), LONG, RECIPE, "base", artifacts, rest)
    assert artifacts.blobs == measured(decoder, LONG, None, whole)
    assert 0 < rest.advances < whole.advances


def test_a_key_that_is_not_finite_is_refused_by_a_worker() -> None:
    model = random_model("llama")
    decoder = discover(model)
    model.model.layers[1].mlp.up_proj.weight.data.fill_(1e38)
    with pytest.raises(EditError, match="layer 1 is not finite"):
        measured(decoder, LONG, Noting(decoder))


def test_a_product_that_does_not_come_ends_the_measurement() -> None:
    decoder, artifacts = discover(random_model("llama")), MemoryArtifacts()
    with pytest.raises(ValueError, match="shorter"):
        covariances(decoder, tokenizer(), LONG, RECIPE, "base", artifacts, Silent(), Forgetting(decoder))
    assert artifacts.blobs == {}


@pytest.mark.slow
def test_text_that_the_model_samples_is_measured_here() -> None:
    by = Noting(decoder := discover(random_model("llama")))
    assert measured(decoder, [], by) == measured(decoder, [], None)
    assert by.given == []
