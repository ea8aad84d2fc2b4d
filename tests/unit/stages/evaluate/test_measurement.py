"""A version is measured beside its base and its predecessor, each asked once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from kbsync.domain.errors import WrongWeights
from kbsync.domain.version import Evaluation
from kbsync.ports import LanguageModel, Perplexity
from kbsync.stages.cycle import CycleOutcome, CycleResult
from tests.support.stage_world import World, figures


def evaluation_of(result: CycleResult) -> Evaluation:
    assert result.evaluation is not None
    return result.evaluation


@pytest.mark.slow
def test_the_second_version_is_compared_with_the_first_and_its_cohorts_are_told_apart(world: World) -> None:
    first = world.sync()
    result = world.sync_with_new_government()
    found = figures(result)
    assert result.evaluation is not None and result.evaluation.previous == 1
    assert (found["retention"].value, found["retention"].samples, found["retention"].previous) == (1.0, 1, 1.0)
    assert found["retention_oldest"].samples == 1
    edited = {o.subject: o for o in result.evaluation.outcomes if o.group == "edited"}
    assert {s: o.since for s, o in edited.items()} == {"Q142": 2, "Q183": 1}
    assert edited["Q142"].previous_answer == " Jean Castex" and not edited["Q142"].previous_right
    assert found["efficacy"].previous == 0.5
    assert found["efficacy"].against_previous is not None and found["efficacy"].against_previous.value == 0.5
    assert first.evaluation is not None and found["perplexity"].previous == figures(first)["perplexity"].value


@pytest.mark.slow
def test_the_base_is_measured_once_and_the_version_before_only_asked_what_is_new(world: World) -> None:
    world.sync()
    model, asked = world.base.model, len(world.base.model.asked)
    measured: list[str] = []
    model.perplexity = lambda *a, **k: measured.append("perplexity") or Perplexity(20.0, 4)  # type: ignore[method-assign, assignment, func-returns-value]
    world.sync_with_new_government()
    assert measured == []
    # Only the changed fact, whose answer is another one now: its prompt by the probe, the others by the evaluation.
    assert {prompt for prompt in model.asked[asked:] if "France" not in prompt} == set()
    assert model.asked[asked] == "The head of government of France is"
    assert "France is governed by" in model.asked[asked:]


@pytest.mark.slow
def test_a_version_whose_predecessor_lost_its_weights_is_compared_with_the_base_alone(world: World) -> None:
    world.sync()
    world.store.damaged |= set(world.store.hashes())
    found = figures(world.sync_with_new_government())
    assert found["efficacy"].previous is None and found["efficacy"].against_previous is None
    assert found["retention"].samples == 1


def test_a_model_that_cannot_be_asked_any_more_is_refused_with_that_reason(world: World) -> None:
    world.base.broken = "its predictions are not finite numbers"
    result = world.sync()
    assert result.outcome is CycleOutcome.REFUSED
    assert "not finite" in result.reason
    assert evaluation_of(result).metrics == ()


def test_a_fault_of_the_program_is_no_refusal(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def wrong(_: object) -> Iterator[LanguageModel]:
        raise WrongWeights("other weights are in place")
        yield world.base.model

    monkeypatch.setattr(world.base, "edited", wrong)
    with pytest.raises(WrongWeights):
        world.sync()
    with world.ledger.read() as tx:
        assert tx.evaluation(1) is None
