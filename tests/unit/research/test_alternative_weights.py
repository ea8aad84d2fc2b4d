"""Which facts are edited, guarded or neither, and the weights that are made of them once."""

from __future__ import annotations

import pytest
import torch

from kbsync.domain.errors import DataError
from kbsync.model.delta import FactorDelta
from kbsync.research.alternative_prompts import Weights
from kbsync.research.alternative_weights import Changes, packed, read_material, unpacked
from kbsync.research.lora import LoraSettings
from kbsync.research.session import ResearchSession
from tests.support.site import MakeSite, Site


def test_facts_are_edited_guarded_or_neither(oslo_site: Site) -> None:
    with oslo_site.app() as app:
        material = read_material(app)
    subjects = [sorted(str(key.subject) for key in p) for p in (material.edited, material.guarded, material.others)]
    assert subjects == [["Q1", "Q2"], ["Q7"], ["Q3", "Q4", "Q5", "Q6"]]
    assert len(material.sentences) == 7 and "The capital of Land 1 is Rome." in material.sentences


def test_a_ledger_without_a_version_has_no_facts_to_edit(new_site: MakeSite, tmp_path) -> None:
    with new_site(tmp_path / "empty").app() as app, pytest.raises(DataError, match="no version"):
        read_material(app)


def test_weights_are_made_once_for_the_same_facts_and_settings(
    oslo_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = LoraSettings(rank=4, epochs=40, learning_rate=0.02)
    with oslo_site.app() as app:
        session, material = ResearchSession(app, [app.recipe]), read_material(app)
        changes = Changes(session, material, settings)
        first = {weights: changes.delta(weights) for weights in (Weights.EDIT, Weights.LORA)}
        with app.base.edited(first[Weights.LORA]) as model:
            prompts = [f"The capital of Land {number} is" for number in (1, 2, 7)]
            assert model.complete(prompts, max_new_tokens=1) == [" Rome", " Rome", " Oslo"], "the guard is rehearsed"
        other = Changes(session, material, LoraSettings(rank=2, epochs=2))
        assert other.inputs(Weights.LORA) != changes.inputs(Weights.LORA)
        assert other.inputs(Weights.EDIT) == changes.inputs(Weights.EDIT)
        monkeypatch.setattr("kbsync.research.alternative_weights.train_lora", None)
        monkeypatch.setattr(app, "editor", None)
        again = Changes(session, material, settings)
        for weights, delta in first.items():
            assert packed(again.delta(weights)) == packed(delta)
            assert again.seconds(weights) > 0


def test_a_delta_is_the_same_after_it_was_kept() -> None:
    delta = FactorDelta(
        {"a.b.weight": (torch.randn(3, 2), torch.randn(2, 4)), "c": (torch.ones(2, 1), torch.ones(1, 2))}
    )
    again = unpacked(packed(delta))
    assert again.parameters == delta.parameters
    for name in delta.parameters:
        assert all(torch.equal(a, b) for a, b in zip(again.factors[name], delta.factors[name], strict=True))
