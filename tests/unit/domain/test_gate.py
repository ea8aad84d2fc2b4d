import pytest

from kbsync.domain.gate import Action, GateDecision, Metric, Threshold, decide, short_of_samples


def metric(name: str = "efficacy", value: float = 0.95, base: float = 0.0, samples: int = 50) -> Metric:
    return Metric(name=name, value=value, base=base, samples=samples)


@pytest.mark.parametrize(
    ("measured", "threshold", "holds"),
    [
        (metric(), Threshold(metric="efficacy", at_least=0.9), True),
        (metric(value=0.89), Threshold(metric="efficacy", at_least=0.9), False),
        (metric(samples=3), Threshold(metric="efficacy", at_least=0.9, min_samples=10), False),
        (metric("perplexity", 20.9, 20.0), Threshold(metric="perplexity", max_growth=0.05), True),
        (metric("perplexity", 21.1, 20.0), Threshold(metric="perplexity", max_growth=0.05), False),
        (metric("perplexity", 31.0, 30.0), Threshold(metric="perplexity", at_most=30.0), False),
        (metric(value=float("nan")), Threshold(metric="efficacy", at_least=0.9), False),
        (metric("perplexity", float("nan"), 20.0), Threshold(metric="perplexity", max_growth=0.05), False),
        (metric("other"), Threshold(metric="efficacy", at_least=0.9), False),
    ],
)
def test_every_threshold_gives_its_reason(measured: Metric, threshold: Threshold, holds: bool) -> None:
    decision = decide([measured], [threshold])
    assert decision.passed is holds
    assert len(decision.reasons) == 1
    assert threshold.metric in decision.reasons[0].text


def test_one_failed_threshold_refuses_and_all_reasons_are_returned() -> None:
    policy = [Threshold(metric="efficacy", at_least=0.9), Threshold(metric="specificity", at_least=0.9)]
    decision = decide([metric(), metric("specificity", 0.5)], policy)
    assert decision == GateDecision(passed=False, reasons=decision.reasons)
    assert [r.holds for r in decision.reasons] == [True, False]


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
