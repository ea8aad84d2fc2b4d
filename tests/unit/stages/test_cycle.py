"""Whole cycles over fakes of the model and the source, on a real ledger."""

from __future__ import annotations

from datetime import timedelta

import pytest

from kbsync.domain.audit import verify
from kbsync.domain.errors import Busy, GateRefused
from kbsync.domain.gate import Threshold
from kbsync.domain.plan import Change
from kbsync.domain.verdict import VerdictKind
from kbsync.domain.version import VersionState
from kbsync.stages.cycle import CycleOutcome
from kbsync.stages.session import writer
from tests.support.stage_world import PARIS, TTL, World, changes, statement


def test_the_first_cycle_edits_what_the_base_has_wrong_and_promotes_it(world: World) -> None:
    result = world.sync()
    assert result.outcome is CycleOutcome.PROMOTED
    assert result.probed.verdicts == {
        VerdictKind.CURRENT: 3,
        VerdictKind.SHAKY: 0,
        VerdictKind.STALE: 1,
        VerdictKind.UNKNOWN: 1,
        VerdictKind.AMBIGUOUS: 0,
    }
    assert changes(result) == {"Q142 P6": Change.ADD, "Q183 P6": Change.ADD}
    assert world.current == 1
    metrics = {m.name: (m.base, m.value) for m in result.evaluation.metrics} if result.evaluation else {}
    assert metrics["efficacy"] == (0.0, 1.0)
    assert metrics["specificity"] == (1.0, 1.0)


@pytest.mark.slow
def test_a_second_cycle_has_nothing_to_do_and_asks_the_model_nothing(world: World) -> None:
    world.sync()
    asked, edits = len(world.base.model.asked), world.editor.calls
    with world.ledger.read() as tx:
        events = len(tx.audit())
    result = world.sync()
    assert result.outcome is CycleOutcome.NOTHING
    assert (len(world.base.model.asked), world.editor.calls) == (asked, edits)
    with world.ledger.read() as tx:
        assert len(tx.audit()) == events


@pytest.mark.slow
def test_when_the_last_fact_is_retracted_current_goes_back_to_the_base(world: World) -> None:
    world.sync()
    world.pass_time(timedelta(days=7))
    world.set_statements("Q142", PARIS, age=timedelta(days=4))
    world.set_statements("Q183", statement("Q183", "P36", "Q64"), age=timedelta(days=4))
    assert world.sync().outcome is CycleOutcome.BASE
    assert world.current == 0
    assert world.sync().outcome is CycleOutcome.NOTHING


@pytest.mark.slow
def test_a_bad_edit_is_refused_and_current_does_not_move(world: World) -> None:
    world.base.damage = {"The capital of France is": " Bonn"}
    result = world.sync()
    assert result.outcome is CycleOutcome.REFUSED
    assert "specificity" in result.reason
    assert world.current == 0
    assert result.version is not None
    assert result.version.state is VersionState.REFUSED
    assert "not single facts are to blame: no fact passes" in result.reason
    with world.ledger.read() as tx:
        assert tx.quarantine() == {}
    built = world.editor.calls
    again = world.sync()
    assert again.outcome is CycleOutcome.HELD
    assert world.editor.calls == built


def test_what_one_phrasing_can_not_reach_is_the_recipe_s_and_no_fact_is_blamed(world: World) -> None:
    """The editor of this world writes the prompt alone."""
    world.gate = (Threshold(metric="generalization", at_least=0.6),)
    result = world.sync()
    assert result.outcome is CycleOutcome.REFUSED
    assert 'set phrasings = "all" in the recipe' in result.reason
    with world.ledger.read() as tx:
        assert tx.newest_event("bisect") is None and tx.quarantine() == {}
    with writer(world.run, TTL) as held, pytest.raises(GateRefused, match='set phrasings = "all" in the recipe'):
        world.stages.promote(held, 1)


def test_a_second_writer_is_told_that_it_is_busy(world: World) -> None:
    with writer(world.run, TTL), pytest.raises(Busy):
        world.sync()


def test_every_decision_is_in_the_audit_trail(world: World) -> None:
    world.sync()
    with world.ledger.read() as tx:
        events = tx.audit()
    assert [e.kind for e in events] == ["pull", "probe", "plan", "edit", "evaluate", "promote"]
    assert {e.actor for e in events} == {"test"}
    assert verify(events) is None
