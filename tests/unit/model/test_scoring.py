from __future__ import annotations

import pytest
import torch
from torch import Tensor

from kbsync.domain.errors import DataError, ModelError
from kbsync.model import forward
from kbsync.model.base import TorchBase
from kbsync.model.load import LoadedModel
from kbsync.model.scoring import PairScorer
from tests.support.bench_model import CORPUS, loaded
from tests.support.plain_scores import plain
from tests.support.random_models import ARCHITECTURES, random_model
from tests.support.recorded_work import RecordedWork

PAIRS = [
    ("Lyon is a city in", "France"),
    ("Lyon is a city in", "the north of Italy"),
    ("Lyon is a city in", "France"),
    ("Rome", "is"),
    ("The mother tongue of Danielle Darrieux is", "Norwegian"),
    ("Where does Oslo lie?", "In the north, far from Łódź"),
    ("Q: Where does Oslo lie?\nA:\n", "In the north"),
]


@pytest.fixture(params=["gpt2", "gemma3"])
def model(request: pytest.FixtureRequest) -> LoadedModel:
    return loaded(request.param)


def test_scores_are_those_of_one_prompt_at_a_time(model: LoadedModel) -> None:
    for batch_tokens in (1, 64, 4096):
        scores = PairScorer(model.model, model.tokenizer, batch_tokens=batch_tokens).scores(PAIRS)
        for pair, score in zip(PAIRS, scores, strict=True):
            nll, hits = plain(model, *pair)
            assert score.nll == pytest.approx(nll, rel=1e-5)
            assert list(score.hits) == hits


def test_strict_is_what_greedy_decoding_says(model: LoadedModel) -> None:
    """Greedy first words of many prompts, those that are one token, are strict; any other word is not."""
    words = " ".join(CORPUS).split()
    prompts = [" ".join(words[:count]) for count in range(1, len(words))]
    said = TorchBase(model).language_model().complete(prompts, max_new_tokens=1)
    pairs = [
        (prompt, text[1:])
        for prompt, text in zip(prompts, said, strict=True)
        if text[:1] == " "
        and text[1:].isalpha()
        and len(model.tokenizer(text, add_special_tokens=False)["input_ids"]) == 1
    ]
    assert len(pairs) >= 2
    scorer = PairScorer(model.model, model.tokenizer)
    assert [score.strict for score in scorer.scores(pairs)] == [True] * len(pairs)
    others = [(prompt, "Italy" if answer != "Italy" else "Paris") for prompt, answer in pairs]
    assert [score.strict for score in scorer.scores(others)] == [False] * len(pairs)


class Counting(torch.nn.Module):
    """Counts the rows and positions that go through a model."""

    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.device, self.config = torch.device("cpu"), inner.config
        self.rows: list[list[int]] = []
        self.projected = 0

    def forward(self, input_ids: torch.Tensor, **more: object) -> object:
        self.rows += input_ids.tolist()
        output = self.inner(input_ids=input_ids, **more)
        self.projected += output.logits.shape[0] * output.logits.shape[1]
        return output

    def get_input_embeddings(self) -> torch.nn.Module:
        return self.inner.get_input_embeddings()

    def get_output_embeddings(self) -> torch.nn.Module:
        return self.inner.get_output_embeddings()


def test_inputs_that_begin_others_are_not_run_and_only_needed_positions_are_projected() -> None:
    model = loaded("gpt2")
    counting = Counting(model.model)
    pairs = [("Lyon is a city in", answer) for answer in ("is", "of", "the north of Italy")] + [("Lyon is a", "city")]
    scores = PairScorer(counting, model.tokenizer).scores(pairs)  # type: ignore[arg-type]
    assert len(counting.rows) == 1
    assert counting.projected == 1 + len(scores[2].hits)
    assert [s.nll for s in scores] == [pytest.approx(plain(model, *pair)[0], rel=1e-5) for pair in pairs]


def test_no_pairs_no_scores() -> None:
    model = loaded("gpt2")
    assert PairScorer(model.model, model.tokenizer).scores([]) == []


def test_a_broken_model_is_an_error_not_a_score() -> None:
    model = loaded("gpt2")
    with torch.no_grad():
        model.model.transformer.h[1].mlp.c_proj.weight.fill_(float("nan"))
    with pytest.raises(ModelError, match="not finite"):
        PairScorer(model.model, model.tokenizer).scores(PAIRS)


@pytest.fixture(params=ARCHITECTURES)
def scorer(request: pytest.FixtureRequest) -> PairScorer:
    return PairScorer(*random_model(request.param))


def test_a_score_does_not_depend_on_its_batch(scorer: PairScorer) -> None:
    alone = [scorer.scores([pair])[0] for pair in PAIRS]
    together = scorer.scores(PAIRS)
    assert [s.nll for s in together] == pytest.approx([s.nll for s in alone], abs=1e-4)
    assert [s.hits for s in together] == [s.hits for s in alone]


def test_predictions_held_at_once_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = random_model("llama")
    prompts = [f"{word} The" for word in " ".join(CORPUS).split()]
    pairs = [(prompt, answer) for prompt in prompts for answer in ("sea", "Zürich and more of it")]
    wanted = PairScorer(model, tokenizer).scores(pairs)
    monkeypatch.setattr(forward, "LOGITS", 16 * len(tokenizer))
    seen: list[int] = []

    def note(_module: torch.nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        seen.append(output.shape[:-1].numel())

    hook = model.lm_head.register_forward_hook(note)
    try:
        scores = PairScorer(model, tokenizer).scores(pairs)
    finally:
        hook.remove()
    longest = max(len(score.hits) for score in scores)
    assert longest < 16 and max(seen) <= 16 and len(seen) > 5
    assert [s.nll for s in scores] == pytest.approx([s.nll for s in wanted], abs=1e-4)


def test_work_advances_by_pairs(scorer: PairScorer) -> None:
    work = RecordedWork()
    scorer.scores(PAIRS, work=work)
    assert work.items == len(PAIRS)


def test_what_can_not_be_scored_is_refused() -> None:
    model, tokenizer = random_model("gpt2")
    scorer = PairScorer(model, tokenizer)
    with pytest.raises(DataError, match="empty"):
        scorer.scores([("The", "sea"), ("The", "")])
    with pytest.raises(DataError, match="Nothing stands before"):
        scorer.scores([("", "sea")])
    with pytest.raises(ModelError, match="context of 128"):
        scorer.scores([("Ж" * 200, "sea")])
