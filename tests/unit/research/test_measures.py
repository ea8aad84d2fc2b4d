"""Batched instruments against a plain transcription of the published evaluation, one prompt at a time."""

from __future__ import annotations

import pytest

from kbsync.domain.errors import DataError
from kbsync.domain.fluency import ngram_entropy
from kbsync.model.base import TorchBase
from kbsync.model.load import LoadedModel
from kbsync.model.sampling import Sampler
from kbsync.ports import PairScore
from kbsync.research.consistency import Consistency
from kbsync.research.counterfact import read_counterfact
from kbsync.research.measures import CounterfactPrompts, CounterfactTexts, ZsrePrompts
from kbsync.research.zsre import read_zsre
from tests.support.bench_model import loaded
from tests.support.bench_records import published, write, zsre
from tests.support.plain_scores import plain


@pytest.fixture(params=["gpt2", "gemma3"])
def model(request: pytest.FixtureRequest) -> LoadedModel:
    return loaded(request.param)


def test_counterfact_figures_against_a_plain_transcription(tmp_path, model: LoadedModel) -> None:
    records = [published(1, "Lyon"), published(2, "Oslo", new="the sea", true="Italy")]
    cases = list(read_counterfact(write(tmp_path / "cf.json", records)))
    found = CounterfactPrompts(answer_tokens=3).measure(TorchBase(model).language_model(), cases)
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


def test_a_model_that_is_told_the_fact_reads_it_before_what_asks_for_it_and_not_before_neighbours(tmp_path) -> None:
    (case,) = read_counterfact(write(tmp_path / "cf.json", [published(1, "Lyon")]))
    told = f"{case.prompt} {case.target}. "
    read: dict[str, list[str]] = {"scores": [], "complete": []}

    class Reading:
        def scores(self, pairs):
            read["scores"] = [prompt for prompt, _ in pairs[::2]]
            return [PairScore(1.0, (True,)) for _ in pairs]

        def complete(self, prompts, *, max_new_tokens, work=None):
            read["complete"] = list(prompts)
            return [f" {case.target}" for _ in prompts]

    asked = CounterfactPrompts(is_told=True)
    (figures,) = asked.measure(Reading(), [case])  # type: ignore[arg-type]
    wanted = [told + case.prompt, *(told + text for text in case.paraphrases), *case.neighbours]
    assert read == {"scores": wanted, "complete": wanted}
    assert figures["generalization_greedy"] == 1.0
    assert asked.key != CounterfactPrompts().key


def test_greedy_figures_are_what_the_model_says(tmp_path) -> None:
    (case,) = read_counterfact(write(tmp_path / "cf.json", [published(1, "Lyon")]))

    class Saying:
        def scores(self, pairs):
            return [PairScore(1.0, (True,)) for _ in pairs]

        def complete(self, prompts, *, max_new_tokens, work=None):
            said = {case.prompt: " Rome, of course", case.paraphrases[0]: " the Rome", case.neighbours[1]: " paris."}
            return [said.get(prompt, " Romeo") for prompt in prompts]

    (figures,) = CounterfactPrompts().measure(Saying(), [case])  # type: ignore[arg-type]
    assert figures["efficacy_greedy"] == 1.0
    assert figures["generalization_greedy"] == figures["specificity_greedy"] == 0.5
    assert "generalization_true" not in figures, "the prompt is not answered with the true answer"


def test_the_true_answer_after_paraphrases_counts_where_the_prompt_is_answered_with_it(tmp_path) -> None:
    """Two paraphrases, one of which a model that knows the fact continues with something else."""
    (case,) = read_counterfact(write(tmp_path / "cf.json", [published(1, "Lyon")]))

    class Knowing:
        def scores(self, pairs):
            return [PairScore(1.0, (True,)) for _ in pairs]

        def complete(self, prompts, *, max_new_tokens, work=None):
            said = {case.prompt: f" {case.true}.", case.paraphrases[0]: f" the {case.true}"}
            return [said.get(prompt, " many things") for prompt in prompts]

    (figures,) = CounterfactPrompts().measure(Knowing(), [case])  # type: ignore[arg-type]
    assert figures["generalization_true"] == 0.5
    assert figures["generalization_greedy"] == 0.0
    assert "efficacy_true" not in figures and "specificity_true" not in figures


def test_zsre_figures_against_a_plain_transcription(tmp_path, model: LoadedModel) -> None:
    cases = list(read_zsre(write(tmp_path / "zsre.json", [zsre("Oslo"), zsre("Rome", answers=["is a city in Italy"])])))
    found = ZsrePrompts(answer_tokens=3).measure(TorchBase(model).language_model(), cases)
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


@pytest.mark.slow
def test_fluency_is_the_mean_entropy_of_the_case_s_texts(tmp_path, model: LoadedModel) -> None:
    cases = list(read_counterfact(write(tmp_path / "cf.json", [published(1, "Lyon"), published(2, "Oslo")])))
    consistency = Consistency({("P17", "Q1"): ("Rome is known for a city in the sea",)})
    lm = TorchBase(model).language_model()
    found = CounterfactTexts(length=30, consistency=consistency).measure(lm, cases)
    for case, figures in zip(cases, found, strict=True):
        texts = Sampler(model.model, model.tokenizer, length=30).texts(case.generation)
        assert figures["fluency"] == pytest.approx(sum(map(ngram_entropy, texts)) / 2)
        assert 0 < figures["consistency"] < 100
    with pytest.raises(DataError, match="Case 1: no reference texts"):
        CounterfactTexts(length=30, consistency=Consistency({("P1", "Q9"): ("x",)})).measure(lm, cases)


def test_settings_are_in_a_gauge_s_key() -> None:
    texts = [CounterfactTexts(), CounterfactTexts(length=30), CounterfactTexts(seed=1)]
    texts += [CounterfactTexts(consistency=Consistency({("P1", "Q1"): (text,)})) for text in ("x", "y")]
    keys = [g.key for g in (*texts, CounterfactPrompts(), CounterfactPrompts(answer_tokens=3), ZsrePrompts())]
    assert len(set(keys)) == len(keys)
    assert CounterfactTexts(cases=5).key == CounterfactTexts().key
