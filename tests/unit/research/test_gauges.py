"""Batched instruments against a plain transcription of the published evaluation, one prompt at a time."""

from __future__ import annotations

import pytest
import torch

from kbsync.domain.errors import DataError, EditError
from kbsync.domain.fluency import ngram_entropy
from kbsync.model.base import TorchBase
from kbsync.model.generation import Sampler
from kbsync.model.load import LoadedModel
from kbsync.model.scoring import PairScorer
from kbsync.research.consistency import Consistency
from kbsync.research.counterfact import read_counterfact
from kbsync.research.gauges import CounterfactPrompts, CounterfactTexts, ZsrePrompts
from kbsync.research.zsre import read_zsre
from tests.support.bench_model import CORPUS, loaded
from tests.support.bench_records import published, write, zsre

PAIRS = [
    ("Lyon is a city in", "France"),
    ("Lyon is a city in", "the north of Italy"),
    ("Lyon is a city in", "France"),
    ("Rome", "is"),
    ("The mother tongue of Danielle Darrieux is", "Norwegian"),
    ("Where does Oslo lie?", "In the north, far from Łódź"),
]


@pytest.fixture(params=["gpt2", "gemma3"])
def model(request: pytest.FixtureRequest) -> LoadedModel:
    return loaded(request.param)


def plain(model: LoadedModel, prompt: str, answer: str) -> tuple[float, list[bool]]:
    """Mean NLL of the tokens of `` answer`` after the prompt, and whether each is the argmax; the whole text is run
    with all logits, and the seam is where the encoded prompt ends (as in the published code)."""
    prompt_ids = model.tokenizer(prompt)["input_ids"]
    ids = model.tokenizer(f"{prompt} {answer}")["input_ids"]
    assert ids[: len(prompt_ids)] == prompt_ids
    with torch.no_grad():
        logits = model.model(torch.tensor([ids])).logits[0].double()
    losses, hits = [], []
    for position in range(len(prompt_ids), len(ids)):
        distribution = logits[position - 1].log_softmax(0)
        losses.append(-float(distribution[ids[position]]))
        hits.append(int(distribution.argmax()) == ids[position])
    return sum(losses) / len(losses), hits


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
        self.device = torch.device("cpu")
        self.rows: list[list[int]] = []
        self.projected = 0

    def forward(self, input_ids: torch.Tensor, **more: object) -> object:
        self.rows += input_ids.tolist()
        output = self.inner(input_ids=input_ids, **more)
        self.projected += output.logits.shape[0] * output.logits.shape[1]
        return output

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
    with pytest.raises(EditError, match="a loss that is not finite"):
        PairScorer(model.model, model.tokenizer).scores(PAIRS)


def test_counterfact_figures_against_a_plain_transcription(tmp_path, model: LoadedModel) -> None:
    records = [published(1, "Lyon"), published(2, "Oslo", new="the sea", true="Italy")]
    cases = list(read_counterfact(write(tmp_path / "cf.json", records)))
    found = CounterfactPrompts(answer_tokens=3).measure(TorchBase(model).language_model(), model, cases)
    for case, figures in zip(cases, found, strict=True):
        groups = {"efficacy": [case.prompt], "generalization": case.paraphrases, "specificity": case.neighbours}
        for group, prompts in groups.items():
            wanted, other = (case.true, case.target) if group == "specificity" else (case.target, case.true)
            success, magnitude, strict = [], [], []
            for prompt in prompts:
                (nll, hits), (other_nll, _) = plain(model, prompt, wanted), plain(model, prompt, other)
                success.append(nll < other_nll)
                magnitude.append(2.718281828459045**-nll - 2.718281828459045**-other_nll)
                strict.append(all(hits))
            assert figures[f"{group}_success"] == sum(success) / len(success)
            assert figures[f"{group}_magnitude"] == pytest.approx(sum(magnitude) / len(magnitude), rel=1e-4)
            assert figures[f"{group}_strict"] == sum(strict) / len(strict)


def test_greedy_figures_are_what_the_model_says(tmp_path) -> None:
    model = loaded("gpt2")
    (case,) = read_counterfact(write(tmp_path / "cf.json", [published(1, "Lyon")]))

    class Saying:
        def complete(self, prompts, *, max_new_tokens, work=None):
            said = {case.prompt: " Rome, of course", case.paraphrases[0]: " the Rome", case.neighbours[1]: " paris."}
            return [said.get(prompt, " Romeo") for prompt in prompts]

    (figures,) = CounterfactPrompts().measure(Saying(), model, [case])  # type: ignore[arg-type]
    assert figures["efficacy_greedy"] == 1.0
    assert figures["generalization_greedy"] == figures["specificity_greedy"] == 0.5


def test_zsre_figures_against_a_plain_transcription(tmp_path, model: LoadedModel) -> None:
    cases = list(read_zsre(write(tmp_path / "zsre.json", [zsre("Oslo"), zsre("Rome", answers=["is a city in Italy"])])))
    found = ZsrePrompts(answer_tokens=3).measure(TorchBase(model).language_model(), model, cases)
    for case, figures in zip(cases, found, strict=True):
        asked = {
            "efficacy": (case.prompt, case.target),
            "generalization": (case.paraphrases[0], case.target),
            "specificity": (case.neighbours[0], case.neighbour_answer),
        }
        for group, pair in asked.items():
            hits = plain(model, *pair)[1]
            assert figures[f"{group}_accuracy"] == sum(hits) / len(hits)
            assert figures[f"{group}_greedy"] in (0.0, 1.0)


def test_sampled_texts_do_not_depend_on_their_batch(model: LoadedModel) -> None:
    prompts = ["Lyon is a city in", "Rome", "The mother tongue of Danielle Darrieux is", "Where does Oslo lie?"]
    together = Sampler(model.model, model.tokenizer, length=40).texts(prompts)
    alone = [Sampler(model.model, model.tokenizer, length=40, batch=1).texts([prompt])[0] for prompt in prompts]
    assert together == alone
    assert all(text.startswith(prompt) for text, prompt in zip(together, prompts, strict=True))
    assert together != Sampler(model.model, model.tokenizer, length=40, seed=1).texts(prompts)


def test_sampling_draws_from_the_top_k_with_their_probabilities() -> None:
    """First tokens over many seeds against the softmax over the five best logits."""
    model, prompt, draws = loaded("gpt2"), "Lyon is", 1500
    ids = model.tokenizer(prompt)["input_ids"]
    with torch.no_grad():
        best = model.model(torch.tensor([ids])).logits[0, -1].topk(5)
    noise = torch.stack([Sampler(model.model, model.tokenizer, seed=seed)._noise(prompt)[0] for seed in range(draws)])
    counts = torch.bincount((best.values + noise).argmax(dim=1), minlength=5) / draws
    assert torch.allclose(counts, best.values.softmax(0), atol=0.04)
    (text,) = Sampler(model.model, model.tokenizer, length=len(ids) + 1).texts([prompt])
    assert text in {model.tokenizer.decode([*ids, int(token)], skip_special_tokens=True) for token in best.indices}


def test_sampled_length_holds_the_prompt_and_an_overlong_prompt_is_cut() -> None:
    model = loaded("gpt2")
    rows = Sampler(model.model, model.tokenizer, length=20)._extend(
        [[0, 5, 6], [0] * 25, [0, 9]], [torch.zeros(20, 5)] * 3
    )
    assert [len(row) for row in rows] == [20, 20, 20]
    assert (rows[0][:3], rows[1], rows[2][:2]) == ([0, 5, 6], [0] * 20, [0, 9])


def test_fluency_is_the_mean_entropy_of_the_case_s_texts(tmp_path, model: LoadedModel) -> None:
    cases = list(read_counterfact(write(tmp_path / "cf.json", [published(1, "Lyon"), published(2, "Oslo")])))
    consistency = Consistency({("P17", "Q1"): ("Rome is known for a city in the sea",)})
    lm = TorchBase(model).language_model()
    found = CounterfactTexts(length=30, consistency=consistency).measure(lm, model, cases)
    for case, figures in zip(cases, found, strict=True):
        texts = Sampler(model.model, model.tokenizer, length=30).texts(case.generation)
        assert figures["fluency"] == pytest.approx(sum(map(ngram_entropy, texts)) / 2)
        assert 0 < figures["consistency"] < 100
    with pytest.raises(DataError, match="Case 1: no reference texts"):
        CounterfactTexts(length=30, consistency=Consistency({("P1", "Q9"): ("x",)})).measure(lm, model, cases)


def test_settings_are_in_a_gauge_s_key() -> None:
    texts = [CounterfactTexts(), CounterfactTexts(length=30), CounterfactTexts(seed=1)]
    texts += [CounterfactTexts(consistency=Consistency({("P1", "Q1"): (text,)})) for text in ("x", "y")]
    keys = [g.key for g in (*texts, CounterfactPrompts(), CounterfactPrompts(answer_tokens=3), ZsrePrompts())]
    assert len(set(keys)) == len(keys)
    assert CounterfactTexts(cases=5).key == CounterfactTexts().key
