"""Whole cycles over fakes of the model and the source, on a real ledger."""

from __future__ import annotations

from datetime import timedelta

import pytest

from kbsync.domain.audit import verify
from kbsync.domain.errors import Busy, GateRefused, LeaseLost, NotFound
from kbsync.domain.plan import Change
from kbsync.domain.verdict import VerdictKind
from kbsync.domain.version import VersionState
from kbsync.stages.cycle import CycleOutcome
from kbsync.stages.release.promote import current_number, promote, rollback
from kbsync.stages.session import writer
from tests.support.stage_world import CAPITAL, HEAD, TTL, World, statement

BORNE = statement("Q142", "P6", "Q30333", start="2022-05-16")
CASTEX_ENDED = statement("Q142", "P6", "Q3052772", start="2020-07-03", end="2022-05-16")
PARIS = statement("Q142", "P36", "Q90")


def current(world: World) -> int:
    with world.ledger.read() as tx:
        return current_number(tx)


def changes(result: object) -> dict[str, Change]:
    return {str(e.key): e.change for e in result.planned.plan.entries}  # type: ignore[attr-defined]


def test_the_first_cycle_edits_what_the_base_has_wrong_and_promotes_it(world: World) -> None:
    result = world.sync()
    assert result.outcome is CycleOutcome.PROMOTED
    assert result.probed.verdicts == {
        VerdictKind.CURRENT: 3,
        VerdictKind.STALE: 1,
        VerdictKind.UNKNOWN: 1,
        VerdictKind.AMBIGUOUS: 0,
    }
    assert changes(result) == {"Q142 P6": Change.ADD, "Q183 P6": Change.ADD}
    assert current(world) == 1
    metrics = {m.name: (m.base, m.value) for m in result.evaluation.metrics} if result.evaluation else {}
    assert metrics["efficacy"] == (0.0, 1.0)
    assert metrics["specificity"] == (1.0, 1.0)


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


def test_a_change_keeps_the_old_facts_and_adds_the_new_one(world: World) -> None:
    world.sync()
    world.pass_time(timedelta(days=7))
    world.set_statements("Q142", PARIS, CASTEX_ENDED, BORNE, age=timedelta(days=4))
    result = world.sync()
    assert result.outcome is CycleOutcome.PROMOTED
    assert result.pulled.fetched == 1
    assert changes(result) == {"Q142 P6": Change.CHANGE, "Q183 P6": Change.KEEP}
    assert [r.target for r in result.planned.plan.requests] == ["Élisabeth Borne", "Olaf Scholz"]
    assert current(world) == 2


def test_vandalism_is_not_believed_and_its_revert_changes_nothing(world: World) -> None:
    world.sync()
    world.pass_time(timedelta(days=1))
    world.set_statements("Q38", statement("Q38", "P36", "Q586"), age=timedelta(minutes=2))
    result = world.sync()
    assert result.outcome is CycleOutcome.NOTHING
    assert result.pulled.waiting == 1
    assert world.believed("Q38", CAPITAL) == {"Q220"}
    world.set_statements("Q38", statement("Q38", "P36", "Q220"), age=timedelta(minutes=1))
    assert world.sync().pulled.waiting == 0
    assert world.believed("Q38", CAPITAL) == {"Q220"}


def test_a_change_is_believed_once_it_was_left_alone_long_enough(world: World) -> None:
    world.sync()
    world.pass_time(timedelta(days=1))
    world.set_statements("Q142", PARIS, CASTEX_ENDED, BORNE, age=timedelta(minutes=2))
    assert world.sync().outcome is CycleOutcome.NOTHING
    world.pass_time(timedelta(hours=71))
    assert world.sync().outcome is CycleOutcome.NOTHING
    world.pass_time(timedelta(hours=2))
    result = world.sync()
    assert result.outcome is CycleOutcome.PROMOTED
    assert result.pulled.fetched == 0
    assert world.believed("Q142", HEAD) == {"Q30333"}


def test_an_unreferenced_change_is_never_believed(world: World) -> None:
    world.sync()
    world.set_statements("Q38", statement("Q38", "P36", "Q586", refs=0), age=timedelta(days=20))
    world.pass_time(timedelta(days=30))
    assert world.sync().pulled.waiting == 1
    assert world.believed("Q38", CAPITAL) == {"Q220"}


def test_a_retracted_fact_is_left_out_of_the_next_version(world: World) -> None:
    world.sync()
    world.pass_time(timedelta(days=7))
    world.set_statements("Q142", PARIS, age=timedelta(days=4))
    result = world.sync()
    assert changes(result) == {"Q142 P6": Change.RETRACT, "Q183 P6": Change.KEEP}
    assert result.planned.plan.entries[0].reason == "no statement holds now"
    assert [r.target for r in result.planned.plan.requests] == ["Olaf Scholz"]


def test_when_the_last_fact_is_retracted_current_goes_back_to_the_base(world: World) -> None:
    world.sync()
    world.pass_time(timedelta(days=7))
    world.set_statements("Q142", PARIS, age=timedelta(days=4))
    world.set_statements("Q183", statement("Q183", "P36", "Q64"), age=timedelta(days=4))
    assert world.sync().outcome is CycleOutcome.BASE
    assert current(world) == 0
    assert world.sync().outcome is CycleOutcome.NOTHING


def test_a_bad_edit_is_refused_and_current_does_not_move(world: World) -> None:
    world.base.damage = {"The capital of France is": " Bonn"}
    result = world.sync()
    assert result.outcome is CycleOutcome.REFUSED
    assert "specificity" in result.reason
    assert current(world) == 0
    assert result.version is not None
    assert result.version.state is VersionState.REFUSED
    assert "not single facts are to blame: no fact passes" in result.reason
    with world.ledger.read() as tx:
        assert tx.quarantine() == {}
    built = world.editor.calls
    again = world.sync()
    assert again.outcome is CycleOutcome.HELD
    assert world.editor.calls == built


@pytest.mark.parametrize("perplexity", [30.0, float("inf"), float("nan")])
def test_an_edit_that_ruins_the_language_is_refused(world: World, perplexity: float) -> None:
    world.base.perplexity = perplexity
    result = world.sync()
    assert result.outcome is CycleOutcome.REFUSED
    assert "perplexity" in result.reason


def test_what_the_editor_leaves_out_goes_to_quarantine_until_its_value_changes(world: World) -> None:
    world.editor.refuse = {"France": "the subject can't be located"}
    assert world.sync().outcome is CycleOutcome.PROMOTED
    with world.ledger.read() as tx:
        assert {str(key): entry.reason for key, entry in tx.quarantine().items()} == {
            "Q142 P6": "the subject can't be located"
        }
    assert world.sync().outcome is CycleOutcome.NOTHING
    world.editor.refuse = {}
    world.pass_time(timedelta(days=7))
    world.set_statements("Q142", PARIS, CASTEX_ENDED, BORNE, age=timedelta(days=4))
    assert changes(world.sync()) == {"Q142 P6": Change.ADD, "Q183 P6": Change.KEEP}


def test_a_rolled_back_version_is_not_promoted_again_by_a_sync(world: World) -> None:
    world.sync()
    with writer(world.run, TTL) as held:
        assert rollback(held, world.store).after == 0
    result = world.sync()
    assert result.outcome is CycleOutcome.HELD
    assert "rolled-back" in result.reason
    assert current(world) == 0
    with writer(world.run, TTL) as held:
        assert promote(held, world.store, 1).after == 1
        assert promote(held, world.store, 1).already
        with pytest.raises(NotFound):
            promote(held, world.store, 7)
    assert world.sync().outcome is CycleOutcome.NOTHING


def test_a_refused_version_needs_a_person_and_a_reason(world: World) -> None:
    world.base.damage = {"The capital of France is": " Bonn"}
    world.sync()
    with writer(world.run, TTL) as held:
        with pytest.raises(GateRefused, match="specificity"):
            promote(held, world.store, 1)
        assert promote(held, world.store, 1, override="checked by hand").after == 1
    with world.ledger.read() as tx:
        assert tx.audit()[-1].body["override"] == "checked by hand"


def test_a_second_writer_is_told_that_it_is_busy(world: World) -> None:
    with writer(world.run, TTL), pytest.raises(Busy):
        world.sync()


def test_a_writer_that_stalled_past_its_lease_cannot_release(world: World) -> None:
    world.sync()
    with writer(world.run, TTL) as stalled:
        world.pass_time(TTL * 2)
        with writer(world.run, TTL) as other, pytest.raises(LeaseLost):
            assert other.lease.token > stalled.lease.token
            rollback(stalled, world.store)
    assert current(world) == 1


def test_every_decision_is_in_the_audit_trail(world: World) -> None:
    world.sync()
    with world.ledger.read() as tx:
        events = tx.audit()
    assert [e.kind for e in events] == ["pull", "probe", "plan", "edit", "evaluate", "promote"]
    assert {e.actor for e in events} == {"test"}
    assert verify(events) is None


def test_a_killed_edit_is_built_again_under_the_same_number(world: World) -> None:
    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    healthy = world.store.write
    world.store.write = die  # type: ignore[method-assign, assignment]
    with pytest.raises(Killed):
        world.sync()
    with world.ledger.read() as tx:
        assert [v.state for v in tx.versions()] == [VersionState.BUILDING]
    world.store.write = healthy  # type: ignore[method-assign]
    result = world.sync()
    assert result.outcome is CycleOutcome.PROMOTED
    assert current(world) == 1


def test_half_of_what_the_base_has_right_is_guarded_and_the_rest_is_measured(world: World) -> None:
    world.guard_count = 10
    result = world.sync()
    assert result.planned is not None
    planned = result.planned.plan.guards
    guards = {str(g.key) for g in planned}
    assert guards
    assert result.evaluation is not None
    neighbours = {
        f"{o.subject} {o.property}" for o in result.evaluation.outcomes if o.group in ("neighbour", "subject")
    }
    assert neighbours
    assert not guards & neighbours
    assert world.editor.guarded == {g.id for g in planned}
