"""What the table does beyond the ports: it answers by the longest ending, and edits that break things can be
ordered."""

from __future__ import annotations

import pytest

from kbsync.domain.errors import ModelError
from kbsync.ports import Perplexity
from kbsync.testing import TableBase, TableDelta, TableModel

ANSWERS = {"capital of France is": " Paris.", "The capital of France is": " Lyon.", "Rome is in": " Italy."}


def test_the_longest_key_that_the_prompt_ends_with_answers() -> None:
    model = TableModel(ANSWERS)
    said = model.complete(["The capital of France is", "What is the capital of France is", "Oslo is in"])
    assert said == [" Lyon.", " Paris.", " something"]
    assert model.asked == ["The capital of France is", "What is the capital of France is", "Oslo is in"]


def test_the_fingerprint_is_of_the_answers() -> None:
    assert TableModel(ANSWERS).fingerprint == TableModel(dict(reversed(ANSWERS.items()))).fingerprint
    assert TableModel(ANSWERS).fingerprint != TableModel({}).fingerprint


def test_an_edit_can_be_made_to_damage_what_stands_elsewhere() -> None:
    base = TableBase(ANSWERS, damage={"Rome is in": " Spain."})
    base.harm["The capital of France is"] = {"capital of France is": " nowhere."}
    base.perplexity = 30.0
    with base.edited(TableDelta({"Oslo is in": " Norway."})) as edited:
        assert edited.complete(["Rome is in", "Oslo is in"]) == [" Spain.", " Norway."]
        assert edited.perplexity(["four words of text"]) == Perplexity(30.0, 4)
    with base.edited(TableDelta({"The capital of France is": " Nice."})) as edited:
        assert edited.complete(["capital of France is"]) == [" nowhere."]
    assert base.language_model().complete(["Rome is in"]) == [" Italy."]


def test_a_base_can_be_broken_and_its_norms_told() -> None:
    base = TableBase(ANSWERS)
    base.growth, base.broken = 0.5, "the weights are not finite"
    delta = TableDelta({"Oslo is in": " Norway."})
    assert base.norm_growth(delta) == {"Oslo is in": 0.5}
    with pytest.raises(ModelError, match="not finite"), base.edited(delta):
        pass
