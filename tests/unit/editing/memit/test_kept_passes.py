"""A finished pass of a refinement is read back as it was, and only by the same refinement."""

from __future__ import annotations

import random
from dataclasses import replace

import torch

from kbsync.editing.common.prompts import Prompt
from kbsync.editing.memit.kept_passes import KIND, FinishedPass, KeptPasses
from kbsync.model.delta import FactorDelta
from tests.support.families import MemoryArtifacts, recipe

PROMPTS = [[Prompt((3, 4, 5), 1, 2)], []]


def delta(scale: float = 1.0) -> FactorDelta:
    return FactorDelta({"down": (scale * torch.ones(4, 2), torch.ones(2, 6))})


def passes(artifacts: MemoryArtifacts) -> KeptPasses:
    return KeptPasses(artifacts, "base", recipe(), delta(), PROMPTS)


def finished(number: int) -> FinishedPass:
    draw = random.Random(number)
    draw.random()
    return FinishedPass(number, [torch.full((4, 2), float(number))], [torch.ones(4, 2)], [torch.zeros(4, 2)], 7, draw)


def test_the_last_pass_is_read_as_it_was_and_the_one_before_is_gone() -> None:
    artifacts = MemoryArtifacts()
    kept = passes(artifacts)
    assert kept.last(5) is None
    for number in (1, 2):
        kept.put(finished(number))
    assert len(artifacts.kinds(KIND)) == 1
    found = passes(artifacts).last(5)
    assert found is not None and (found.number, found.steps) == (2, 7)
    assert torch.equal(found.lefts[0], torch.full((4, 2), 2.0)) and torch.equal(found.means[0], torch.ones(4, 2))
    assert found.squares[0].shape == (4, 2) and found.draw.getstate() == finished(2).draw.getstate()
    assert passes(artifacts).last(2) is None, "a pass that was the last one left nothing to go on with"
    kept.drop(2)
    kept.drop(0)
    assert artifacts.kinds(KIND) == []


def test_another_refinement_finds_nothing_and_a_damaged_pass_is_made_again() -> None:
    artifacts = MemoryArtifacts()
    passes(artifacts).put(finished(1))
    others = (
        KeptPasses(artifacts, "other", recipe(), delta(), PROMPTS),
        KeptPasses(artifacts, "base", replace(recipe(), refine_rate=0.5), delta(), PROMPTS),
        KeptPasses(artifacts, "base", recipe(), delta(2.0), PROMPTS),
        KeptPasses(artifacts, "base", recipe(), delta(), [PROMPTS[0], PROMPTS[0]]),
        KeptPasses(artifacts, "base", recipe(), delta(), [[replace(PROMPTS[0][0], target=3)], []]),
    )
    assert [other.last(5) for other in others] == [None] * 5
    (place,) = artifacts.kinds(KIND)
    artifacts.exchange(place, b"no pass")
    assert passes(artifacts).last(5) is None
