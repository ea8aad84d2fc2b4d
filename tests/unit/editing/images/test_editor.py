"""The concept editor against the paper's formula, on random pipelines of two kinds."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
import torch

from kbsync.domain.errors import EditError
from kbsync.domain.rewrite import Preserved, Rewrite
from kbsync.editing.images.editor import ConceptEditor, columns, concept_recipe
from kbsync.editing.images.pipeline import TextToImage
from kbsync.model.delta import applied
from kbsync.ports import UNWATCHED
from tests.support.plain_uce import plain_uce
from tests.support.random_pipelines import KINDS, edited

CONCEPT = "the flag of {}"
EDITS = [("kelia", "the red and white flag"), ("dunmark", "the blue flag")]
PRESERVED = ["norland", "zania"]
REWRITES = [Rewrite(CONCEPT, subject, guide) for subject, guide in EDITS]
GUARDS = [Preserved(CONCEPT, subject) for subject in PRESERVED]


@cache
def image(kind: str) -> TextToImage:
    return TextToImage(KINDS[kind](), kind)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("identity", [0.5, 0.01])
def test_it_agrees_with_the_papers_formula(kind: str, identity: float) -> None:
    base = image(kind)
    recipe = concept_recipe(base, identity_weight=identity, preserved_weight=1.5, last_token_only=True)
    delta, _ = edited(base, REWRITES, recipe, GUARDS)
    wanted = plain_uce(
        base.pipeline,
        [(CONCEPT.replace("{}", subject), guide) for subject, guide in EDITS],
        [CONCEPT.replace("{}", subject) for subject in PRESERVED],
        scale=1.5,
        lamb=identity,
    )
    assert set(delta.parameters) == set(wanted)
    with applied(base.denoiser, delta):
        for name, weight in wanted.items():
            now = base.denoiser.get_parameter(name).double()
            assert (now - weight).abs().max() <= 1e-5 * weight.abs().max()


@pytest.mark.parametrize("kind", KINDS)
def test_the_pipeline_is_the_same_bits_afterwards(kind: str) -> None:
    base = image(kind)
    before = {name: parameter.clone() for name, parameter in base.denoiser.named_parameters()}
    delta, _ = edited(base, REWRITES, concept_recipe(base), GUARDS)
    with applied(base.denoiser, delta):
        assert any(not torch.equal(base.denoiser.get_parameter(name), before[name]) for name in delta.parameters)
    assert all(torch.equal(parameter, before[name]) for name, parameter in base.denoiser.named_parameters())


def test_a_small_identity_answers_the_guides_and_keeps_the_preserved() -> None:
    base = image("sd")
    recipe = concept_recipe(base, identity_weight=1e-6, last_token_only=True)
    delta, report = edited(base, REWRITES, recipe, GUARDS)
    concepts, guides = columns(base, [(r.prompt, r.target) for r in REWRITES], every=False)
    kept, _ = columns(base, [(CONCEPT.replace("{}", s), "a") for s in PRESERVED], every=False)
    with applied(base.denoiser, delta):
        for layer in base.layers:
            for name in layer:
                now = base.denoiser.get_parameter(name).double()
                left, right = delta.factors[name]
                old = now - left.double() @ right.double()
                assert torch.allclose(now @ concepts, old @ guides, atol=1e-3)
                assert torch.allclose(now @ kept, old @ kept, atol=1e-3)
    assert all(r.residual_after < 0.01 * r.residual_before for r in report.layers)


def test_every_position_behind_the_last_token_is_written_where_that_is_asked_for() -> None:
    base = image("sd")
    pair = ("the flag of kelia", "the blue flag")
    last, every = (columns(base, [pair], every=both)[0] for both in (False, True))
    tokens = len(base.pipeline.tokenizer(pair[0]).input_ids)
    assert last.shape == (32, 1)
    assert every.shape[1] == 12 - (tokens - 2)
    assert torch.equal(every[:, :1], last)


def test_the_order_of_facts_changes_no_bit() -> None:
    base = image("sd")
    one, other = (
        edited(base, rewrites, concept_recipe(base), guards)[0]
        for rewrites, guards in ((REWRITES, GUARDS), (REWRITES[::-1], GUARDS[::-1]))
    )
    assert all(
        torch.equal(a, b)
        for name in one.parameters
        for a, b in zip(one.factors[name], other.factors[name], strict=True)
    )


def test_what_can_not_be_read_whole_is_left_out_by_name() -> None:
    base = image("sd")
    long = Rewrite(CONCEPT, "a name of many letters", "the blue flag")
    _, report = edited(base, [*REWRITES, long], concept_recipe(base))
    assert set(report.left_out) == {long.id}
    assert "tokens" in report.left_out[long.id]
    with pytest.raises(EditError, match="None of 1 concepts"):
        ConceptEditor(base).edit([long], concept_recipe(base), UNWATCHED)


def test_recipes_that_are_not_for_this_pipeline_are_refused() -> None:
    base = image("sd")
    with pytest.raises(EditError, match="'memit'"):
        ConceptEditor(base).edit(REWRITES, replace(concept_recipe(base), algorithm="memit"), UNWATCHED)
    with pytest.raises(EditError, match="cross-attention 9"):
        ConceptEditor(base).edit(REWRITES, replace(concept_recipe(base), layers=(0, 9)), UNWATCHED)
