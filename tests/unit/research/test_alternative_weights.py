"""Which facts are edited, guarded or neither, and the weights that are made of them once."""

from __future__ import annotations

import pytest
import torch

from kbsync.model.delta import FactorDelta
from kbsync.research.alternative_prompts import Weights
from kbsync.research.alternative_weights import Changes, material_of, packed, unpacked
from kbsync.research.lora import LoraSettings
from kbsync.research.session import ResearchSession
from kbsync.research.written_facts import PhrasingsExtent, open_site
from tests.support.site import Site

pytestmark = pytest.mark.slow


def test_facts_are_sorted_and_weights_are_made_once(oslo_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = LoraSettings(rank=4, epochs=60, learning_rate=0.02)
    with oslo_site.app() as app:
        session = ResearchSession(app, [app.recipe])
        with open_site(session, oslo_site.state, PhrasingsExtent(answer_tokens=1)) as site:
            line = site.variant(app.recipe, "given")
            material = material_of(site.facts, line.requests, line.guards)
            groups = (material.edited, material.guarded, material.others)
            subjects = [sorted(str(key.subject) for key in group) for group in groups]
            assert subjects == [["Q1", "Q2", "Q5", "Q6"], ["Q7"], ["Q3", "Q4"]]
            assert len(material.sentences) == 7

            def changes(lora: LoraSettings = settings) -> Changes:
                return Changes(site.app, session.artifacts, app.recipe, material, lora)

            made = changes()
            first = {weights: made.delta(weights) for weights in (Weights.EDIT, Weights.LORA)}
            with site.app.base.edited(first[Weights.LORA]) as model:
                answers = model.complete([request.prompt for request in material.requests], max_new_tokens=1)
            assert answers == [" Rome"] * 4
            other = changes(LoraSettings(rank=2))
            assert other.inputs(Weights.LORA) != made.inputs(Weights.LORA)
            assert other.inputs(Weights.EDIT) == made.inputs(Weights.EDIT)
            monkeypatch.setattr("kbsync.research.alternative_weights.train_lora", None)
            monkeypatch.setattr(site.app, "editor", None)
            for weights, delta in first.items():
                assert packed(changes().delta(weights)) == packed(delta)
                assert changes().seconds(weights) > 0


def test_a_delta_is_the_same_after_it_was_kept() -> None:
    delta = FactorDelta(
        {"a.b.weight": (torch.randn(3, 2), torch.randn(2, 4)), "c": (torch.ones(2, 1), torch.ones(1, 2))}
    )
    again = unpacked(packed(delta))
    assert again.parameters == delta.parameters
    for name in delta.parameters:
        assert all(torch.equal(a, b) for a, b in zip(again.factors[name], delta.factors[name], strict=True))
