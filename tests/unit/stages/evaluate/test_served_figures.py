"""What the gate says of a version in the forms in which it is served."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from kbsync.domain.errors import ServerDown
from kbsync.domain.gate import Action, Threshold
from kbsync.ports import Delta
from kbsync.stages.cycle import CycleOutcome
from kbsync.stages.evaluate.served import Complete
from kbsync.stages.evaluate.served_figures import as_served
from tests.support.stage_world import World, figures

HEAD_OF_FRANCE = "The head of government of France is"


def served(world: World, lost: Sequence[str] = ()) -> None:
    """The world's versions are served as bfloat16, and say nothing to ``lost`` there."""

    @contextmanager
    def opened(delta: Delta) -> Iterator[Complete]:
        with world.base.edited(delta) as model:
            yield lambda prompts: [
                "nobody" if prompt in lost else answer
                for prompt, answer in zip(prompts, model.complete(prompts), strict=True)
            ]

    world.served_as["bfloat16"] = opened
    world.gate = as_served(world.gate, world.served_as)


def test_only_refusing_thresholds_on_answers_are_carried_to_a_form() -> None:
    policy = (
        Threshold(metric="efficacy", at_least=0.9),
        Threshold(metric="efficacy", at_least=0.99, action=Action.WARN),
        Threshold(metric="perplexity", max_growth=0.05),
    )
    assert [t.metric for t in as_served(policy, ["bfloat16", "q4_k_m+lora"])] == [
        "efficacy",
        "efficacy",
        "perplexity",
        "efficacy@bfloat16",
        "efficacy@q4_k_m+lora",
    ]


def test_a_version_that_survives_is_promoted(world: World) -> None:
    served(world)
    result = world.sync()
    assert result.outcome is CycleOutcome.PROMOTED
    metric = figures(result)["efficacy@bfloat16"]
    assert (metric.value, metric.base, metric.samples) == (1, 1, figures(result)["efficacy"].samples)


def test_a_version_that_does_not_survive_is_refused_and_its_facts_are_named(world: World) -> None:
    served(world, lost=[HEAD_OF_FRANCE])
    result = world.sync()
    assert result.outcome is CycleOutcome.REFUSED and world.current == 0
    assert result.evaluation is not None
    (reason,) = [r.text for r in result.evaluation.decision.refusals]
    assert reason.startswith("efficacy@bfloat16 is") and "lost there: Q142 P6" in reason
    assert 'refine_as = ["bfloat16"]' in reason, "what can be done"
    assert figures(result)["efficacy"].value == 1, "float32 holds it"
    with world.ledger.read() as tx:
        assert not tx.quarantine(), "rounding is no fact's fault"
        assert [e.kind for e in tx.audit()].count("bisect") == 0


def test_a_form_that_can_not_be_asked_is_refused(world: World) -> None:
    @contextmanager
    def opened(_delta: Delta) -> Iterator[Complete]:
        raise ServerDown("the server is gone")
        yield

    world.served_as["gguf"] = opened
    result = world.sync()
    assert result.outcome is CycleOutcome.REFUSED and result.evaluation is not None
    assert "can't be asked as gguf: the server is gone" in result.evaluation.decision.refusals[0].text


@pytest.mark.parametrize("form", ["gguf", "q4_k_m+lora"])
def test_an_older_evaluation_does_not_pass_for_a_form_that_was_not_measured(world: World, form: str) -> None:
    world.sync()
    with world.ledger.read() as tx:
        evaluation = tx.evaluation(1)
    assert evaluation is not None
    judged = evaluation.judged_by(as_served(world.gate, [form]))
    assert not judged.decision.passed
    assert f"efficacy@{form} was not measured" in [r.text for r in judged.decision.refusals]
