"""The stage: it finds a recipe, writes it down, goes on after a kill, and says why where it finds none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from kbsync.domain.errors import DataError, SourceError
from kbsync.domain.gate import Threshold
from kbsync.domain.recipe import Recipe
from kbsync.domain.rewrite import Preserved, Rewrite
from kbsync.ledger.ledger import SqlLedger
from kbsync.ports import Edit, Work
from kbsync.stages.cycle import CycleOutcome, rehearse
from kbsync.stages.session import writer
from kbsync.stages.tune.extent import Extent
from kbsync.stages.tune.tune import TuneResult
from kbsync.testing.fake_model import TableEditor
from tests.support.stage_world import TTL, World, WorldSite
from tests.support.tuning_world import judged_facts, land, tuning_world

UNITS = Extent(4, 16).units


@pytest.fixture
def big(ledger: SqlLedger, tmp_path: Path) -> World:
    return tuning_world(ledger, tmp_path / "recipes")


class Killed(TableEditor):
    """Dies at one of its edits."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def edit(
        self, rewrites: Sequence[Rewrite], recipe: Recipe, work: Work, *, guards: Sequence[Preserved] = ()
    ) -> Edit:
        edit = super().edit(rewrites, recipe, work, guards=guards)
        if self.calls == self.at:
            raise KeyboardInterrupt
        return edit


def found(world: World, units: int = UNITS) -> TuneResult:
    facts = judged_facts(world)
    with writer(world.run, TTL) as held:
        return world.stages.tune(held, facts, units=units)


@pytest.mark.slow
def test_a_sync_without_a_recipe_finds_one_and_promotes(big: World) -> None:
    result = big.sync()
    assert result.outcome is CycleOutcome.PROMOTED
    assert result.tuned is not None and result.tuned.path is not None
    recipe = WorldSite(big).recipe
    assert recipe.name == f"auto-{big.base.fingerprint[:12]}"
    with big.ledger.read() as tx:
        (event,) = tx.audit(kind="tune")
    assert event.body["fingerprint"] == recipe.fingerprint
    assert event.body["refusal"] == ""

    big.pass_time(TTL)
    assert big.sync().tuned is None, "a recipe is found once"


def test_a_small_site_guards_so_few_facts_that_the_gate_has_enough_to_ask(big: World) -> None:
    """Half of the 56 known facts would be guarded, and the gate demands 30 of the others."""
    big.gate = (
        Threshold(metric="efficacy", at_least=0.9),
        Threshold(metric="specificity", at_least=0.9, min_samples=30),
    )
    assert big.sync().outcome is CycleOutcome.PROMOTED
    assert WorldSite(big).recipe.guard_count == 56 - 33


def test_a_rehearsal_plans_and_finds_no_recipe(big: World) -> None:
    with writer(big.run, TTL) as held:
        result = rehearse(held, big.stages)
    assert result.outcome is CycleOutcome.PLANNED
    assert len(result.planned.plan.requests) == 4
    assert big.editor.calls == 0
    assert WorldSite(big).known_recipe is None


def test_nothing_is_searched_where_nothing_is_to_be_written(ledger: SqlLedger, tmp_path: Path) -> None:
    world = tuning_world(ledger, tmp_path, wrong=0)
    assert world.sync().outcome is CycleOutcome.NOTHING
    assert world.editor.calls == 0


@pytest.mark.slow
def test_the_same_inputs_give_the_same_recipe(big: World) -> None:
    first, second = found(big), found(big)
    assert first.recipe == second.recipe
    assert first.path is not None
    text = first.path.read_text()
    assert f"--units {UNITS}" in text
    assert text.count("score") >= 1
    assert big.editor.calls == len(first.trials), "the second search found every trial made"


@pytest.mark.slow
@pytest.mark.parametrize("at", [1, 3, 5])
def test_a_killed_search_goes_on_where_it_was(big: World, at: int) -> None:
    big.editor = Killed(at)
    with pytest.raises(KeyboardInterrupt):
        found(big)
    assert WorldSite(big).known_recipe is None
    made = big.editor.calls
    result = found(big)
    assert big.editor.calls - made == len(result.trials) - (at - 1)
    assert result.path is not None


@pytest.mark.slow
def test_an_endpoint_that_is_lost_after_a_kill_holds_no_search_up(big: World) -> None:
    """The search asks the ledger only; the cycle goes on as soon as the endpoint is back."""
    big.editor = Killed(3)
    with pytest.raises(KeyboardInterrupt):
        found(big)
    big.source.fail_next(SourceError("The endpoint does not answer."))
    with pytest.raises(SourceError):
        big.sync()
    made, facts = big.editor.calls, big.facts
    with writer(big.run, TTL) as held:
        found_without = big.stages.tune(held, facts, units=UNITS)
    assert big.editor.calls - made == len(found_without.trials) - 2
    result = big.sync()
    assert (result.outcome, result.tuned) == (CycleOutcome.PROMOTED, None)


@pytest.mark.slow
def test_too_short_a_budget_gives_the_best_so_far_and_says_so(big: World) -> None:
    result = found(big, units=1)
    assert len(result.trials) == 1
    assert result.path is not None
    assert "one recipe and compares it with no other" in result.more_time
    assert "kbsync recipe tune --budget" in result.more_time
    assert "kbsync recipe tune --budget" in result.path.read_text()


@pytest.mark.slow
def test_more_time_tries_more_recipes(big: World) -> None:
    assert len(found(big, Extent(8, 24).units).trials) > len(found(big, 1).trials)


@pytest.mark.slow
def test_no_recipe_that_holds_the_bounds_keeps_the_base(big: World) -> None:
    big.base.damage = {f"The capital of {land(n)} is": " nowhere." for n in range(60)}
    result = big.sync()
    assert result.outcome is CycleOutcome.REFUSED
    assert "specificity is 0 " in result.reason and "demanded: at least 0.9, 0.9 short" in result.reason
    assert (big.current, WorldSite(big).known_recipe) == (0, None)
    with big.ledger.read() as tx:
        (event,) = tx.audit(kind="tune")
        assert tx.versions() == []
    assert event.body["refusal"] == result.reason

    big.pass_time(TTL)
    calls = big.editor.calls
    assert big.sync().outcome is CycleOutcome.REFUSED
    assert big.editor.calls == calls, "what was tried is not tried again"


def test_a_base_that_knows_too_few_facts_keeps_what_was_pulled(ledger: SqlLedger, tmp_path: Path) -> None:
    world = tuning_world(ledger, tmp_path, lands=12)
    with pytest.raises(DataError, match="are needed"):
        world.sync()
    assert world.current == 0
    assert len(world.facts.verdicts) == 12


@pytest.mark.slow
def test_an_edit_that_fails_is_a_trial_that_broke(big: World) -> None:
    big.base.broken = "no finite numbers"
    result = found(big, units=1)
    assert "no finite numbers" in result.refusal
