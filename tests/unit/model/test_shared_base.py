"""What many workers answer is what one process answers, to the last bit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from kbsync.checkpoints.factors import decode, encode
from kbsync.domain.errors import DataError, Stopped, WrongWeights
from kbsync.model.answer_tasks import AnswerWorker
from kbsync.model.base import TorchBase
from kbsync.model.delta import FactorDelta
from kbsync.model.load import LoadedModel
from kbsync.model.shared_base import LANES, SharedBase
from kbsync.ports import UNWATCHED, Delta, Executor, InProcessExecutor, LanguageModel, Part, Work
from tests.support.families import random_model, tokenizer

PROMPTS = [f"The capital of {'x' * (n % 7)} land {n} is" for n in range(150)]
PAIRS = [(prompt, said) for prompt in PROMPTS[:40] for said in ("Rome", "the city of Oslo")]


class Backwards(Executor):
    """Two workers, the tasks from the last to the first."""

    def __init__(self, *workers: AnswerWorker) -> None:
        self._executors = [InProcessExecutor(worker) for worker in workers]
        self.sizes: list[int] = []

    def map(self, kind: str, shared: bytes, tasks: Sequence[bytes], work: Work = UNWATCHED) -> Iterator[Part]:
        self.sizes.append(len(tasks))
        for place in reversed(range(len(tasks))):
            for part in self._executors[place % 2].map(kind, shared, [tasks[place]], work):
                yield Part(place, part.data)


def loaded(architecture: str) -> LoadedModel:
    model = random_model(architecture)
    return LoadedModel(model.eval().requires_grad_(False), tokenizer(), "base", "here", Path())


def encoded(delta: Delta) -> bytes:
    assert isinstance(delta, FactorDelta)
    return encode(delta)


@pytest.fixture(scope="module", params=["llama", "gemma3"])
def architecture(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def executor(architecture: str) -> Backwards:
    return Backwards(*(AnswerWorker(loaded(architecture), decode) for _ in range(2)))


@pytest.fixture
def local(architecture: str) -> TorchBase:
    return TorchBase(loaded(architecture))


@pytest.fixture
def shared(local: TorchBase, executor: Backwards) -> SharedBase:
    return SharedBase(local, executor, encoded)


def delta(architecture: str) -> FactorDelta:
    import torch

    generator = torch.Generator().manual_seed(3)
    left, right = torch.randn(32, 4, generator=generator), torch.randn(4, 48, generator=generator)
    return FactorDelta({"model.layers.1.mlp.down_proj.weight": (left, right)})


def asked(model: LanguageModel) -> list[object]:
    return [
        model.complete(PROMPTS, max_new_tokens=4),
        model.scores(PAIRS),
        model.sample(PROMPTS[:20], length=24, seed=1),
        model.complete_each([PROMPTS[:9], [], PROMPTS[9:11]], max_new_tokens=2),
        model.scores_each([PAIRS[:5], PAIRS[5:30]]),
        model.perplexity(PROMPTS[:3]),
        model.next_tokens(PROMPTS[:2], top=3),
        model.divergence(PROMPTS[:1], [{1: -1.0, 2: -2.0}]),
        model.too_long(["x" * 400, "y"]),
    ]


@pytest.mark.slow
def test_the_base_answers_with_the_same_bits(local: TorchBase, shared: SharedBase, executor: Backwards) -> None:
    assert asked(shared.language_model()) == asked(local.language_model())
    assert executor.sizes[0] > 1, "150 prompts are more than one batch"
    assert executor.sizes[1] > 1


@pytest.mark.slow
def test_an_edited_model_answers_with_the_same_bits(architecture: str, local: TorchBase, shared: SharedBase) -> None:
    change = delta(architecture)
    with local.edited(change) as model:
        expected = asked(model)
    with shared.edited(change) as model:
        assert asked(model) == expected
    assert asked(shared.language_model()) == asked(local.language_model()) != expected
    assert shared.norm_growth(change) == local.norm_growth(change)


def test_the_base_is_refused_while_a_delta_is_in_place(architecture: str, shared: SharedBase) -> None:
    base = shared.language_model()
    with shared.edited(delta(architecture)), pytest.raises(WrongWeights):
        base.complete(PROMPTS[:2])


def test_bad_texts_are_refused_before_they_travel(shared: SharedBase, executor: Backwards) -> None:
    with pytest.raises(DataError):
        shared.language_model().scores([("The", "")])
    assert executor.sizes == []


def test_a_stop_is_noticed_between_two_batches(shared: SharedBase) -> None:
    def check() -> None:
        raise Stopped("asked to stop")

    with pytest.raises(Stopped):
        shared.language_model().complete(PROMPTS, work=Work(checks=[check]))


def test_several_lists_are_asked_together(local: TorchBase, shared: SharedBase) -> None:
    assert (local.language_model().lanes, shared.language_model().lanes) == (1, LANES)
