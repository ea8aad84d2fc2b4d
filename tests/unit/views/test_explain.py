"""One fact from the statements to the versions that hold it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from kbsync.domain.errors import NotFound
from kbsync.domain.fact import FactKey
from kbsync.domain.statement import ItemId
from kbsync.stages.decide import approve, pin
from kbsync.views.explain import ExplainView, explain
from tests.support.stage_world import CAPITAL, START, World, statement

GERMANY, ITALY = ItemId("Q183"), ItemId("Q38")


def explained(world: World, item: ItemId, number: int = 0) -> ExplainView:
    with world.ledger.read() as tx:
        return explain(tx, item, world.relations[number], world.clock.now())


@pytest.mark.slow
def test_a_stale_fact_is_told_from_the_statement_to_the_version(world: World) -> None:
    world.sync()
    view = explained(world, GERMANY, 1)
    assert (view.item, view.label, view.relation, view.property) == ("Q183", "Germany", "head-of-government", "P6")
    assert [change.statement_id for change in view.history] == ["Q183$P6-Q567", "Q183$P6-Q61053"]
    assert [change.before for change in view.history] == [None, None]
    assert view.history[1].after == "Olaf Scholz (Q61053), from 2021-12-08, 1 reference"
    assert view.observed == view.believed
    assert view.observed.values == ("Olaf Scholz (Q61053)",) and view.observed.former == ("Angela Merkel (Q567)",)
    assert view.verdict is not None and view.model == world.base.fingerprint
    assert (view.verdict.kind, view.verdict.answer, view.verdict.matched) == (
        "stale",
        " Angela Merkel.",
        "Angela Merkel",
    )
    (held,) = view.versions
    assert (held.version, held.current, held.change, held.target) == (1, True, "add", "Olaf Scholz")
    assert (held.before, held.right, held.left_out) == (" Angela Merkel.", True, None)
    assert (view.trust, view.redirect_to, view.quarantine, view.decision) == ("trusted", None, None, None)


def test_names_that_are_not_believed_yet_are_told(world: World) -> None:
    world.sync()
    world.source.set_item("Q38", label="Pizza", aliases=["Boot"], statements=world.source.items[ITALY].statements)
    world.look()
    view = explained(world, ITALY)
    assert view.waiting_names == ("Q38 is called 'Pizza' since 2026-01-01 00:00, also 'Boot'",)
    assert view.label == "Italy"


@pytest.mark.slow
def test_beliefs_follow_each_other_and_say_who_decided(world: World) -> None:
    world.sync()
    world.set_statements("Q38", statement("Q38", "P36", "Q586"), age=timedelta(0))
    world.pass_time(timedelta(hours=1))
    world.sync()
    waiting = explained(world, ITALY)
    assert (waiting.observed.values, waiting.trust) == (("Bonn (Q586)",), "settled") and waiting.trust_reason
    assert [belief.values for belief in waiting.beliefs] == [("Rome (Q220)",)]
    key = FactKey(ITALY, CAPITAL)
    approve(world.run, key, "seen in the paper")
    world.pass_time(timedelta(minutes=1))
    pin(world.run, key, "no more of it")
    view = explained(world, ITALY)
    rome, bonn = view.beliefs
    assert (rome.since, rome.until, rome.how) == (START, START + timedelta(hours=1), "trusted")
    assert (bonn.since, bonn.until) == (START + timedelta(hours=1), None)
    assert (bonn.values, bonn.how) == (("Bonn (Q586)",), "approved by test: seen in the paper")
    assert view.believed_at == bonn.since and view.decision is not None and "no more of it" in view.decision


def test_a_changed_statement_is_told_with_both_its_states(world: World) -> None:
    world.sync()
    world.set_statements("Q38", statement("Q38", "P36", "Q220", refs=3))
    world.pass_time(timedelta(hours=1))
    world.sync()
    change = explained(world, ITALY).history[-1]
    assert (change.before, change.after) == ("Rome (Q220), 1 reference", "Rome (Q220), 3 references")
    assert change.seen_at == START + timedelta(hours=1)


def test_a_fact_that_the_ledger_does_not_hold(world: World) -> None:
    with pytest.raises(NotFound, match="The ledger holds no fact Q38 P36"):
        explained(world, ITALY)
