"""How much a version will be asked is known before it is built."""

from __future__ import annotations

from kbsync.domain.gate import Threshold
from tests.support.stage_world import DEMANDING, World


def test_the_forecast_counts_what_the_evaluation_asks(world: World) -> None:
    result = world.sync()
    assert result.evaluation is not None
    with world.ledger.read() as tx:
        forecast = world.stages.forecast_evaluation(tx, result.planned.plan, 1)
    measured = {metric.name: metric.samples for metric in result.evaluation.metrics}
    assert forecast.samples["efficacy"] == 2
    assert {name: count for name, count in forecast.samples.items() if count} == {
        name: measured[name] for name in forecast.samples if name in measured
    }
    assert (forecast.version, forecast.short) == (1, ())


def test_only_metrics_of_prompts_that_will_rest_on_too_few_are_named(world: World) -> None:
    plan = world.sync().planned.plan
    world.gate = (*DEMANDING, Threshold(metric="perplexity", max_growth=0.05, min_samples=10**6))
    with world.ledger.read() as tx:
        (shortage,) = world.stages.forecast_evaluation(tx, plan).short
    assert (shortage.metric, shortage.samples, shortage.demanded) == ("specificity", 3, 50)
