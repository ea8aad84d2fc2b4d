"""Figures of the language as a whole: perplexity, divergence, fluency, repetition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from kbsync.domain.fluency import ngram_entropy
from kbsync.domain.gate import Metric
from kbsync.ports import UNWATCHED, Perplexity
from kbsync.stages.cycle import CycleOutcome
from kbsync.stages.evaluate.language import LanguageSample, language_metrics, sample_language
from kbsync.stages.evaluate.replies import Replies
from kbsync.testing.fake_model import TableModel
from tests.support.stage_world import World


@pytest.mark.slow
@pytest.mark.parametrize("perplexity", [30.0, float("inf"), float("nan")])
def test_an_edit_that_ruins_the_language_is_refused(world: World, perplexity: float) -> None:
    world.base.perplexity = perplexity
    result = world.sync()
    assert result.outcome is CycleOutcome.REFUSED
    assert "perplexity" in result.reason


def sample(perplexity: float, *texts: str) -> LanguageSample:
    return LanguageSample(perplexity=Perplexity(perplexity, 50), texts=texts)


def metrics(before: Mapping[str, Metric] | None = None) -> dict[str, Metric]:
    edited, base = sample(22.0, "no no no no no"), sample(20.0, "one two three four five")
    return {metric.name: metric for metric in language_metrics(edited, base, [0.5, 1.5], (before or {}).get)}


def test_the_edited_model_is_compared_with_the_base() -> None:
    figures = metrics()
    assert {name: (m.value, m.base, m.samples) for name, m in figures.items()} == {
        "perplexity": (22.0, 20.0, 50),
        "divergence": (1.0, 0.0, 2),
        "fluency": (0.0, ngram_entropy("one two three four five"), 1),
        "repetition": (pytest.approx(2 / 3), 0.0, 1),
    }


@pytest.mark.parametrize(("base", "previous"), [(20.0, 21.0), (19.0, None)])
def test_perplexities_measured_on_other_texts_are_not_compared(base: float, previous: float | None) -> None:
    known = Metric(name="perplexity", value=21.0, base=base, samples=50)
    figures = metrics({"perplexity": known, "fluency": replace(known, name="fluency")})
    assert (figures["perplexity"].previous, figures["fluency"].previous) == (previous, 21.0)


def test_a_model_is_asked_only_for_the_figures_that_are_wanted() -> None:
    replies = Replies(TableModel({}), "table", UNWATCHED, answer_tokens=10, text_tokens=10)
    asked = {
        only: sample_language(replies, ["a held out text"], ["France is"], only and {only})
        for only in (None, "perplexity", "fluency", "efficacy")
    }
    assert {only: (s.perplexity is not None, len(s.texts)) for only, s in asked.items()} == {
        None: (True, 1),
        "perplexity": (True, 0),
        "fluency": (False, 1),
        "efficacy": (False, 0),
    }
