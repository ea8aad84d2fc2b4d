"""What the verbs that act print: made from the results of the small world's stages."""

from __future__ import annotations

import pytest

from kbsync.domain.canonical import plain
from kbsync.domain.fact import FactKey
from kbsync.domain.gate import Threshold
from kbsync.domain.statement import ItemId, PropertyId
from kbsync.stages.cycle import CycleResult
from kbsync.stages.edit import EditResult
from kbsync.stages.evaluate.evaluate import EvaluateResult
from kbsync.views.results import cycle_view, edit_view, evaluate_view, evaluation_view, plan_view
from tests.support.stage_world import World, statement


def second(world: World) -> CycleResult:
    """A cycle after one fact has changed and one is withdrawn."""
    world.sync()
    ended = statement("Q142", "P6", "Q3052772", start="2020-07-03", end="2022-05-16")
    borne = statement("Q142", "P6", "Q30333", start="2022-05-16")
    world.set_statements("Q142", statement("Q142", "P36", "Q90"), ended, borne)
    world.set_statements("Q183", statement("Q183", "P36", "Q64"))
    return world.sync()


@pytest.mark.slow
def test_a_plan_lists_what_is_written_and_what_was_held(world: World) -> None:
    result = second(world).planned
    view = plan_view(result)
    assert (view.plan, view.build, view.predecessor) == (result.plan_hash, result.plan.build_hash, 1)
    entries = {(e.label, e.change): (e.answer, e.previous) for e in view.entries}
    assert entries["France", "change"] == ("Élisabeth Borne", "Jean Castex")
    assert entries["Germany", "retract"] == (None, "Olaf Scholz")
    assert view.changes == len(view.entries) == 2 and view.warning == "" and view.refused == ()
    assert all(e.reason for e in view.entries)


def test_a_refused_fact_and_a_warning_are_in_the_plan(world: World) -> None:
    world.max_facts, world.capacity = 1, 1
    view = plan_view(world.sync().planned)
    (refused,) = view.refused
    assert refused.property == "P6" and refused.reason
    assert (view.changes, bool(view.warning)) == (1, True)


def test_a_cycle_holds_its_version_and_the_gate_s_reasons(world: World) -> None:
    result = world.sync()
    view = cycle_view(result)
    assert (view.outcome, view.version) == ("promoted", 1)
    assert view.evaluation is not None
    assert (view.evaluation.passed, view.evaluation.state) == (True, "promoted")
    assert [r.holds for r in view.evaluation.reasons] == [True] * len(world.gate)
    document = plain(view)
    assert document["pulled"]["fetched"] == 3 and document["probed"]["asked"] == 5
    nothing = cycle_view(world.sync())
    assert (nothing.outcome, nothing.version, nothing.evaluation) == ("nothing to do", None, None)


def test_an_evaluation_says_whether_it_was_measured_before(world: World) -> None:
    evaluation = world.sync().evaluation
    assert evaluation is not None
    view = evaluation_view(evaluation, "candidate", already=True, judged_anew=True)
    assert (view.version, view.state, view.already, view.judged_anew) == (1, "candidate", True, True)
    assert view.metrics == evaluation.metrics


@pytest.mark.slow
def test_a_refused_evaluation_says_why_and_one_that_passed_says_nothing(world: World) -> None:
    world.gate = (Threshold(metric="generalization", at_least=0.6),)
    result = world.sync()
    assert result.version is not None and result.evaluation is not None
    refused = EvaluateResult(version=result.version, evaluation=result.evaluation, already=True)
    with world.ledger.read() as tx:
        why = evaluate_view(tx, refused).why_refused
    assert why.startswith("generalization is 0 ") and 'phrasings = "all"' in why
    view = cycle_view(result).evaluation
    assert view is not None and view.why_refused == why
    world.gate = (Threshold(metric="efficacy", at_least=0.6),)
    view = cycle_view(world.sync()).evaluation
    assert view is not None and (view.passed, view.why_refused) == (True, "")


def test_an_edit_names_what_was_left_out(world: World) -> None:
    version = world.sync().version
    assert version is not None
    left_out = {FactKey(ItemId(item), PropertyId("P6")): f"{item} is too long" for item in ("Q9", "Q10")}
    view = edit_view(EditResult(version=version, left_out=left_out, already=False))
    assert (view.version, view.hash, view.state, view.already) == (1, version.version_hash, "promoted", False)
    assert [(f.fact, f.reason) for f in view.left_out] == [
        ("Q10 P6", "Q10 is too long"),
        ("Q9 P6", "Q9 is too long"),
    ]
