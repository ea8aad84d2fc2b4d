"""A site that watches few facts: what it is measured on, and what follows where that is too little to judge by."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kbsync.domain.gate import Action, Metric, Threshold, short_of_samples
from kbsync.domain.version import VersionState
from kbsync.stages.cycle import CycleOutcome
from kbsync.stages.evaluate.questions import OTHER, EvaluationSize
from kbsync.stages.release.promote import current_number
from tests.support.stage_world import World

DEMANDING = (
    Threshold(metric="efficacy", at_least=0.9),
    Threshold(metric="specificity", at_least=0.9, min_samples=50),
)


def current(world: World) -> int:
    with world.ledger.read() as tx:
        return current_number(tx)


@pytest.mark.parametrize(("enough", "others"), [(0, []), (2, []), (3, ["Q38"]), (50, ["Q38"])])
def test_facts_of_other_relations_are_asked_where_near_ones_are_too_few(
    world: World, enough: int, others: list[str]
) -> None:
    """The heads of two governments are edited; Paris and Berlin are the same subjects' capitals, Rome nobody's."""
    world.size = EvaluationSize(enough=enough)
    result = world.sync()
    assert result.evaluation is not None
    assert [o.subject for o in result.evaluation.outcomes if o.group == OTHER] == others
    figures = {m.name: m.samples for m in result.evaluation.metrics}
    assert figures["specificity"] == 2 + len(others)
    assert figures.get("specificity_other", 0) == len(others)


def test_no_fact_is_blamed_where_too_little_was_asked(world: World) -> None:
    world.gate = DEMANDING
    result = world.sync()
    assert result.outcome is CycleOutcome.REFUSED
    assert result.reason == "specificity rests on 3 samples, 50 are demanded"
    with world.ledger.read() as tx:
        assert tx.quarantine() == {}
        assert tx.audit(kind="bisect") == []
    assert world.editor.calls == 1


def test_a_refused_version_is_judged_anew_by_another_policy_and_not_measured_again(world: World) -> None:
    world.gate = DEMANDING
    assert world.sync().outcome is CycleOutcome.REFUSED
    assert world.sync().outcome is CycleOutcome.HELD, "the same policy says the same"
    asked, edits = len(world.base.model.asked), world.editor.calls
    world.gate = (DEMANDING[0], replace(DEMANDING[1], min_samples=3))
    result = world.sync()
    assert (result.outcome, current(world)) == (CycleOutcome.PROMOTED, 1)
    assert (len(world.base.model.asked), world.editor.calls) == (asked, edits)
    with world.ledger.read() as tx:
        kinds = [event.kind for event in tx.audit()]
        version, evaluation = tx.version(1), tx.evaluation(1)
    assert kinds[-3:] == ["refuse", "evaluate", "promote"]
    assert version is not None and version.state is VersionState.PROMOTED
    assert evaluation is not None and evaluation.decision.passed


def test_only_refusing_thresholds_that_lack_samples_count() -> None:
    def metric(name: str, samples: int) -> Metric:
        return Metric(name=name, value=0.0, base=0.0, samples=samples)

    measured = [metric("efficacy", 5), metric("specificity", 49)]
    policy = (
        Threshold(metric="efficacy", at_least=0.9),
        Threshold(metric="specificity", at_least=0.9, min_samples=50),
        Threshold(metric="specificity", max_drop_previous=0.1, min_samples=50, action=Action.WARN),
        Threshold(metric="retention", at_least=0.9, min_samples=10, optional=True),
        Threshold(metric="perplexity", max_growth=0.1, min_samples=1000),
    )
    assert short_of_samples(measured, policy) == (policy[1], policy[4])
