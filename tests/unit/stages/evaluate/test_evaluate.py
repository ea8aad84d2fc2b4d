"""Figures of versions over fakes of model and source, on a real ledger."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kbsync.domain.gate import Threshold
from kbsync.domain.version import VersionState
from kbsync.stages.cycle import CycleOutcome, CycleResult
from kbsync.stages.evaluate.evaluate import EvaluateResult
from kbsync.stages.session import writer
from tests.support.stage_world import DEMANDING, TTL, World


def evaluated(world: World, number: int, *, again: bool = False) -> EvaluateResult:
    with writer(world.run, TTL) as held:
        return world.stages.evaluate(held, number, again=again)


@pytest.mark.slow
def test_a_version_measured_again_gives_the_same_figures(world: World) -> None:
    world.sync()
    result = world.sync_with_new_government()
    again = evaluated(world, 2, again=True)
    assert not again.already
    assert result.evaluation is not None
    assert again.evaluation.metrics == result.evaluation.metrics
    assert again.evaluation.outcomes == result.evaluation.outcomes


def refused(world: World) -> CycleResult:
    world.gate = (Threshold(metric="efficacy", at_least=0.9), Threshold(metric="perplexity", at_most=10.0))
    result = world.sync()
    assert result.outcome is CycleOutcome.REFUSED
    return result


@pytest.mark.slow
def test_a_refused_version_is_judged_anew_when_the_policy_changes_and_goes_live(world: World) -> None:
    refused(world)
    built, asked = world.editor.calls, len(world.base.model.asked)
    assert world.sync().outcome is CycleOutcome.HELD
    world.gate = (Threshold(metric="efficacy", at_least=0.9), Threshold(metric="perplexity", at_most=30.0))
    result = world.sync()
    assert (result.outcome, result.version and result.version.state) == (CycleOutcome.PROMOTED, VersionState.PROMOTED)
    assert (world.editor.calls, len(world.base.model.asked)) == (built, asked), "figures are not measured again"
    again = evaluated(world, 1)
    assert (again.already, again.judged_anew) == (True, False)


@pytest.mark.slow
def test_a_version_that_the_changed_policy_refuses_too_is_held_for_the_new_reason(world: World) -> None:
    refused(world)
    world.gate = (Threshold(metric="specificity", at_least=1.1),)
    assert world.sync().outcome is CycleOutcome.HELD
    with world.ledger.read() as tx:
        evaluation, version = tx.evaluation(1), tx.version(1)
    assert evaluation and [r.metric for r in evaluation.decision.refusals] == ["specificity"]
    assert version and version.state is VersionState.REFUSED


def test_a_candidate_that_the_changed_policy_refuses_is_no_candidate_any_more(world: World) -> None:
    world.sync()
    world.gate = (Threshold(metric="specificity", at_least=1.1),)
    result = evaluated(world, 1)
    assert (result.judged_anew, result.evaluation.decision.passed) == (True, False)
    assert result.version.state is VersionState.PROMOTED, "what is live stays until somebody rolls it back"


@pytest.mark.slow
def test_a_refused_version_is_judged_anew_by_another_policy_and_not_measured_again(world: World) -> None:
    world.gate = DEMANDING
    assert world.sync().outcome is CycleOutcome.REFUSED
    assert world.sync().outcome is CycleOutcome.HELD, "the same policy says the same"
    asked, edits = len(world.base.model.asked), world.editor.calls
    world.gate = (DEMANDING[0], replace(DEMANDING[1], min_samples=3))
    result = world.sync()
    assert (result.outcome, world.current) == (CycleOutcome.PROMOTED, 1)
    assert (len(world.base.model.asked), world.editor.calls) == (asked, edits)
    with world.ledger.read() as tx:
        kinds = [event.kind for event in tx.audit()]
        version, evaluation = tx.version(1), tx.evaluation(1)
    assert kinds[-3:] == ["refuse", "evaluate", "promote"]
    assert version is not None and version.state is VersionState.PROMOTED
    assert evaluation is not None and evaluation.decision.passed
