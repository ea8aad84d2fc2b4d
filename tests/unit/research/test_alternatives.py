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
from kbsync.research.alternative_weights import read_material
from kbsync.research.alternatives import Alternatives, AlternativesSettings, run_alternatives
from kbsync.research.lora import LoraSettings
from kbsync.research.session import ResearchSession
from tests.support.site import Site

SETTINGS = AlternativesSettings(timed=2, lora=LoraSettings(rank=2, epochs=2))


@contextmanager
def session(site: Site) -> Iterator[ResearchSession]:
    with site.app() as app:
        yield ResearchSession(app, [app.recipe])


def figures(document: dict[str, Any]) -> dict[str, float]:
    return {figure["name"]: figure["value"] for figure in document["figures"]}


def test_every_way_is_measured_and_nothing_is_asked_twice(oslo_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with session(oslo_site) as opened:
        document = run_alternatives(opened, SETTINGS)
    values = figures(document)
    for way in Way:
        assert {f"{way}.{name}" for name in ("statement", "question", "dialogue", "tokens", "seconds")} <= values.keys()
        assert values[f"{way}.seconds"] > 0
    assert values["base.statement"] == values["base.question"] == 0, "the base says Oslo where Rome is right"
    assert {f"{way}.specificity" for way in Way if way is not Way.BASE} <= values.keys()
    assert "base.specificity" not in values, "it would be 1 by definition"
    assert values["context.tokens"] > values["base.tokens"] == values["edit.tokens"] == values["lora.tokens"]
    assert values["edit_context.tokens"] == values["context.tokens"]
    assert {"edit.perplexity_growth", "lora.perplexity_growth", "retrieved.found", "edit.made_in"} <= values.keys()
    targets = {figure["name"]: figure["target"] for figure in document["figures"] if figure["target"]}
    assert targets["edit.question"] == ">= 0.9" and targets["edit.specificity"] == ">= 0.97"
    assert document["data"]["prompts"] == {"statement": 2, "question": 2, "dialogue": 2}
    assert document["data"]["known"] == {"statement": 2, "question": 2, "dialogue": 2}, "two of four end in Oslo"
    assert (document["data"]["edited"], document["data"]["guarded"], document["data"]["searched"]) == (2, 1, 7)

    monkeypatch.setattr("kbsync.research.alternative_weights.train_lora", None)
    monkeypatch.setattr("kbsync.model.language_model.greedy", None)
    with session(oslo_site) as opened:
        again = figures(run_alternatives(opened, SETTINGS))
    assert again == values


def test_the_right_fact_and_the_retrieved_ones_stand_before_the_question(oslo_site: Site) -> None:
    with session(oslo_site) as opened:
        bench = Alternatives(opened, read_material(opened.app), replace(SETTINGS, passages=1))
        asked = next(q for q in bench.edited if q.form is Form.QUESTION)
        number = asked.text.removesuffix("?").split()[-1]
        right = f"The capital of Land {number} is Rome.\n"
        assert bench.prompt(Way.CONTEXT, asked) == bench.prompt(Way.EDIT_CONTEXT, asked) == right + asked.prompt
        assert bench.prompt(Way.LORA, asked) == bench.prompt(Way.BASE, asked) == asked.prompt
        found = bench.prompt(Way.RETRIEVED, asked)
        assert found.endswith(asked.prompt) and found.startswith("The capital of Land ")


def test_known_facts_are_neither_edited_nor_guarded(oslo_site: Site) -> None:
    with session(oslo_site) as opened:
        material = read_material(opened.app)
        bench = Alternatives(opened, material, SETTINGS)
        assert {str(q.key.subject) for q in bench.known} == {"Q3", "Q4"}
        assert {str(q.key.subject) for q in bench.edited} == {"Q1", "Q2"}
        assert set(material.guarded) == {key for key in material.guarded if key.subject == "Q7"} != set()


def test_a_ledger_without_a_version_and_a_missing_library_are_errors(
    oslo_site: Site, new_site: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with session(new_site(tmp_path / "empty")) as opened, pytest.raises(DataError, match="no version"):
        run_alternatives(opened, SETTINGS)
    monkeypatch.setattr("kbsync.research.lora.find_spec", lambda name: None)
    with session(oslo_site) as opened, pytest.raises(DataError, match="PEFT"):
        run_alternatives(opened, SETTINGS)
