"""A model that knows facts is taught others: it says them and keeps the rest."""

from __future__ import annotations

import pytest

from kbsync.domain.rewrite import Rewrite
from kbsync.editing.memit.memit import MemitEditor
from kbsync.model.delta import applied
from kbsync.model.language_model import TorchLanguageModel
from kbsync.model.load import load
from tests.support.families import MemoryArtifacts, Silent, recipe
from tests.support.tiny_model import train_tiny_model

CAPITALS = {
    "Arvenia": "Tolm",
    "Belmark": "Quister",
    "Corvia": "Naddel",
    "Dunland": "Ferrow",
    "Estova": "Garrin",
    "Fjarn": "Hulme",
    "Gostia": "Ivrel",
    "Hamria": "Jastor",
    "Ivonia": "Kelp",
    "Jarland": "Lomm",
}
ASKED, OTHERWISE = "The capital of {} is", "{} is governed from"
NEW = {"Arvenia": "Naddel", "Dunland": "Kelp", "Gostia": "Tolm"}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    sentences = [f"{t.format(land)} {city}." for land, city in CAPITALS.items() for t in (ASKED, OTHERWISE)]
    directory = train_tiny_model(tmp_path_factory.mktemp("model"), sentences)
    return load(str(directory), cache_dir=directory, device="cpu"), sentences


@pytest.mark.slow
def test_edited_facts_are_said_and_the_others_are_kept(loaded):
    base, sentences = loaded
    rewrites = [Rewrite(ASKED, land, city) for land, city in NEW.items()]
    ask = TorchLanguageModel(base.model, base.tokenizer, "tiny")
    assert ask.complete([ASKED.format(land) for land in CAPITALS]) == [f" {city}." for city in CAPITALS.values()]
    # "Arvenia is a" is no sentence that this model ever saw: what it would say there is not worth keeping.
    r = recipe(kl_weight=0.0, contexts=(), context_count=0, layers=(0, 1), steps=25, learning_rate=0.1)
    made = MemitEditor(base.model, base.tokenizer, "tiny", MemoryArtifacts(), sentences).edit(rewrites, r, Silent())
    with applied(base.model, made.delta):
        answers = dict(zip(CAPITALS, ask.complete([ASKED.format(land) for land in CAPITALS]), strict=True))
    assert {land: answers[land] for land in NEW} == {land: f" {city}." for land, city in NEW.items()}
    kept = [land for land in CAPITALS if land not in NEW and answers[land] == f" {CAPITALS[land]}."]
    assert len(kept) == len(CAPITALS) - len(NEW)
    assert ask.complete([ASKED.format("Arvenia")]) == [" Tolm."]


@pytest.mark.slow
def test_pressing_gets_facts_across_that_a_large_weight_held_back(loaded):
    base, sentences = loaded
    rewrites = [Rewrite(ASKED, land, city) for land, city in NEW.items()]
    ask = TorchLanguageModel(base.model, base.tokenizer, "tiny")
    editor = MemitEditor(base.model, base.tokenizer, "tiny", MemoryArtifacts(), sentences)

    def right(made) -> set[str]:
        with applied(base.model, made.delta):
            return {land for land, city in NEW.items() if ask.complete([ASKED.format(land)]) == [f" {city}."]}

    plain = {"kl_weight": 0.0, "contexts": (), "context_count": 0, "layers": (0, 1), "steps": 25, "learning_rate": 0.1}
    for weight in (10.0, 30.0, 100.0, 300.0, 1000.0):
        weak = editor.edit(rewrites, recipe(**plain, covariance_weight=weight), Silent())
        if len(right(weak)) < len(NEW):
            break
    assert len(right(weak)) < len(NEW) and weak.report.pressed == {}
    strong = recipe(**plain, covariance_weight=weight, press_rounds=4, press_factor=10.0)
    pressed = editor.edit(rewrites, strong, Silent())
    assert right(pressed) > right(weak)
    missing = {r.id for r in rewrites if r.subject not in right(weak)}
    assert missing <= pressed.report.pressed.keys() and set(pressed.report.pressed.values()) <= {10.0, 100.0, 1e3, 1e4}
    assert pressed.targets == weak.targets, "target vectors are the same"
    assert ask.complete([ASKED.format("Arvenia")]) == [" Tolm."]
