"""All ways on a real small transformer: what is asked, counted and kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from kbsync.domain.errors import DataError
from kbsync.domain.phrasing import Form
from kbsync.research.alternative_prompts import Way
from kbsync.research.alternative_weights import material_of
from kbsync.research.alternatives import Alternatives, AlternativesSettings, run_alternatives
from kbsync.research.lora import LoraSettings
from kbsync.research.session import ResearchSession
from kbsync.research.written_facts import PhrasingsExtent, open_site
from tests.support.site import Site

pytestmark = pytest.mark.slow

SETTINGS = AlternativesSettings(timed=2, answer_tokens=1, lora=LoraSettings(rank=2, epochs=2))


@contextmanager
def session(site: Site) -> Iterator[ResearchSession]:
    with site.app() as app:
        yield ResearchSession(app, [app.recipe])


@contextmanager
def asking(site: Site, settings: AlternativesSettings = SETTINGS) -> Iterator[Alternatives]:
    with session(site) as opened, open_site(opened, site.state, PhrasingsExtent(answer_tokens=1)) as demo:
        line = demo.variant(opened.recipes[0], "given")
        material = material_of(demo.facts, line.requests, line.guards)
        yield Alternatives(demo.app, opened.artifacts, opened.recipes[0], material, settings)


def figures(document: dict[str, Any]) -> dict[str, float]:
    return {figure["name"]: figure["value"] for figure in document["figures"]}


def test_every_way_is_measured_and_nothing_is_asked_twice(oslo_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with session(oslo_site) as opened:
        document = run_alternatives(opened, oslo_site.state, SETTINGS)
    values = figures(document)
    for way in Way:
        assert {f"{way}.{name}" for name in ("statement", "question", "dialogue", "tokens", "seconds")} <= values.keys()
        assert values[f"{way}.seconds"] > 0
    assert values["base.statement"] == values["base.question"] == 0, "the base says Oslo where Rome is right"
    assert {f"{way}.specificity" for way in Way if way is not Way.BASE} <= values.keys()
    assert "base.specificity" not in values, "it would be 1 by definition"
    assert values["context.specificity"] == 1, "the base says Oslo whatever stands before the question"
    assert values["context.tokens"] > values["base.tokens"] == values["edit.tokens"] == values["lora.tokens"]
    assert values["edit_context.tokens"] == values["context.tokens"]
    assert {"edit.perplexity_growth", "lora.perplexity_growth", "retrieved.found", "edit.made_in"} <= values.keys()
    targets = {figure["name"]: figure["target"] for figure in document["figures"] if figure["target"]}
    assert targets["edit.question"] == ">= 0.9" and targets["edit.specificity"] == ">= 0.97"
    assert document["data"]["prompts"] == {"statement": 4, "question": 4, "dialogue": 4}
    assert document["data"]["known"] == {"statement": 2, "question": 2, "dialogue": 2}
    assert (document["data"]["edited"], document["data"]["guarded"], document["data"]["searched"]) == (4, 1, 7)

    monkeypatch.setattr("kbsync.research.alternative_weights.train_lora", None)
    monkeypatch.setattr("kbsync.model.language_model.greedy", None)
    with session(oslo_site) as opened:
        assert figures(run_alternatives(opened, oslo_site.state, SETTINGS)) == values


def test_the_right_fact_and_the_retrieved_ones_stand_before_the_question(oslo_site: Site) -> None:
    with asking(oslo_site, replace(SETTINGS, passages=1)) as bench:
        question = next(q for q in bench.edited if q.form is Form.QUESTION)
        right = f"{question.sentence}\n"
        assert (
            bench.prompt(Way.CONTEXT, question) == bench.prompt(Way.EDIT_CONTEXT, question) == right + question.prompt
        )
        assert bench.prompt(Way.LORA, question) == bench.prompt(Way.BASE, question) == question.prompt
        retrieved = bench.prompt(Way.RETRIEVED, question)
        assert retrieved.endswith(question.prompt)
        assert retrieved.removesuffix(question.prompt).strip() in bench.material.sentences


def test_known_facts_are_neither_edited_nor_guarded(oslo_site: Site) -> None:
    with asking(oslo_site) as bench:
        assert {str(q.key.subject) for q in bench.known} == {"Q3", "Q4"}
        assert {str(q.key.subject) for q in bench.edited} == {"Q1", "Q2", "Q5", "Q6"}
        assert {str(key.subject) for key in bench.material.guarded} == {"Q7"}


def test_a_missing_ledger_and_a_missing_library_are_errors(
    oslo_site: Site, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with session(oslo_site) as opened, pytest.raises(DataError, match="holds no ledger"):
        run_alternatives(opened, tmp_path, SETTINGS)
    monkeypatch.setattr("kbsync.research.lora.find_spec", lambda name: None)
    with session(oslo_site) as opened, pytest.raises(DataError, match="PEFT"):
        run_alternatives(opened, oslo_site.state, SETTINGS)
