"""Figures of versions over fakes of model and source, on a real ledger."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from kbsync.domain.errors import WrongWeights
from kbsync.domain.gate import Metric, Threshold
from kbsync.domain.phrasing import from_templates
from kbsync.domain.relation import Relation
from kbsync.domain.statement import ItemId, PropertyId
from kbsync.domain.version import Evaluation, VersionState
from kbsync.ports import LanguageModel, Perplexity
from kbsync.stages.cycle import CycleOutcome, CycleResult
from kbsync.stages.evaluate.evaluate import EvaluateResult
from kbsync.stages.session import writer
from tests.support.stage_world import HEAD, RELATIONS, TTL, World, statement

BORNE = statement("Q142", "P6", "Q30333", start="2022-05-16")
CASTEX_ENDED = statement("Q142", "P6", "Q3052772", start="2020-07-03", end="2022-05-16")
PARIS = statement("Q142", "P36", "Q90")


def figures(result: CycleResult) -> dict[str, Metric]:
    assert result.evaluation is not None
    return {m.name: m for m in result.evaluation.metrics}


def second(world: World) -> CycleResult:
    world.pass_time(timedelta(days=7))
    world.set_statements("Q142", PARIS, CASTEX_ENDED, BORNE, age=timedelta(days=4))
    return world.sync()


def evaluated(world: World, number: int, *, again: bool = False) -> EvaluateResult:
    with writer(world.run, TTL) as held:
        return world.stages.evaluate(held, number, again=again)


def test_every_figure_of_a_first_version_has_its_samples_and_its_interval(world: World) -> None:
    found = figures(world.sync())
    assert set(found) == {
        "efficacy",
        "efficacy_probability",
        "efficacy_strict",
        "generalization",
        "generalization_probability",
        "generalization_strict",
        "specificity",
        "specificity_subject",
        "specificity_other",
        "perplexity",
        "divergence",
        "fluency",
        "repetition",
        "norm_growth",
    }
    efficacy = found["efficacy"]
    assert (efficacy.value, efficacy.base, efficacy.samples, efficacy.previous) == (1.0, 0.0, 2, None)
    assert efficacy.low == pytest.approx(0.3424, abs=1e-3)
    assert efficacy.against_base is not None and efficacy.against_base.value == 1.0
    assert found["efficacy_probability"].base == 0.0
    assert found["generalization"].samples == 2
    assert found["norm_growth"].value == world.base.growth


def test_the_second_version_is_compared_with_the_first_and_its_cohorts_are_told_apart(world: World) -> None:
    first = world.sync()
    result = second(world)
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


def test_the_base_is_measured_once_and_the_version_before_only_asked_what_is_new(world: World) -> None:
    world.sync()
    model, asked = world.base.model, len(world.base.model.asked)
    measured: list[str] = []
    model.perplexity = lambda *a, **k: measured.append("perplexity") or Perplexity(20.0, 4)  # type: ignore[method-assign, assignment, func-returns-value]
    second(world)
    assert measured == []
    # Only the changed fact, whose answer is another one now: its prompt by the probe, its paraphrase by the evaluation.
    assert model.asked[asked:] == ["The head of government of France is", "France is governed by"]


def test_a_version_measured_again_gives_the_same_figures(world: World) -> None:
    world.sync()
    result = second(world)
    again = evaluated(world, 2, again=True)
    assert not again.already
    assert result.evaluation is not None
    assert again.evaluation.metrics == result.evaluation.metrics
    assert again.evaluation.outcomes == result.evaluation.outcomes


def test_a_version_whose_predecessor_lost_its_weights_is_compared_with_the_base_alone(world: World) -> None:
    world.sync()
    world.store.damaged |= set(world.store.hashes())
    found = figures(second(world))
    assert found["efficacy"].previous is None and found["efficacy"].against_previous is None
    assert found["retention"].samples == 1


BIRTHPLACE = Relation(
    name="place-of-birth",
    property=PropertyId("P19"),
    label="place of birth",
    phrasings=from_templates("The place of birth of {} is", "{} was born in"),
    subjects=(ItemId("Q61053"),),
)


def test_the_second_hop_is_asked_through_the_edited_fact(world: World) -> None:
    world.source.now -= timedelta(days=30)
    world.source.set_item("Q61053", label="Olaf Scholz", statements=[statement("Q61053", "P19", "Q64")])
    world.source.now = world.clock.time
    world.base.model.answers |= {
        "The place of birth of Olaf Scholz is": " Berlin",
        "The place of birth of the head of government of Germany is": " Berlin",
    }
    world.relations = (*RELATIONS, BIRTHPLACE)
    result = world.sync()
    hop = figures(result)["multihop"]
    assert (hop.value, hop.samples) == (1.0, 1)
    (asked,) = [o for o in evaluation_of(result).outcomes if o.group == "hop"]
    assert (asked.subject, asked.property, asked.expected) == ("Q183", HEAD, "Berlin")


def test_a_model_that_cannot_be_asked_any_more_is_refused_with_that_reason(world: World) -> None:
    world.base.broken = "its predictions are not finite numbers"
    result = world.sync()
    assert result.outcome is CycleOutcome.REFUSED
    assert "not finite" in result.reason
    assert evaluation_of(result).metrics == ()


def evaluation_of(result: CycleResult) -> Evaluation:
    assert result.evaluation is not None
    return result.evaluation


def refused(world: World) -> CycleResult:
    world.gate = (Threshold(metric="efficacy", at_least=0.9), Threshold(metric="perplexity", at_most=10.0))
    result = world.sync()
    assert result.outcome is CycleOutcome.REFUSED
    return result


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
