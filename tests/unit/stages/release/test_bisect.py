"""A refused batch is searched, its culprits go into quarantine with the evidence, and the rest goes live in the same
cycle."""

from __future__ import annotations

from datetime import timedelta

import pytest

from kbsync.domain.version import VersionState
from kbsync.stages.cycle import CycleOutcome
from tests.support.crowd_world import FEW, RIGHT, SEAT, SUBJECTS, WRONG, plant, prompt
from tests.support.stage_world import DEMANDING, World, statement


def quarantined(world: World) -> dict[int, str]:
    with world.ledger.read() as tx:
        return {SUBJECTS.index(key.subject): entry.reason for key, entry in tx.quarantine().items()}


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_three_planted_culprits_among_two_hundred_are_found_and_the_rest_goes_live(crowd: World, seed: int) -> None:
    planted = plant(crowd, seed)
    result = crowd.sync()
    assert result.outcome is CycleOutcome.PROMOTED
    assert crowd.editor.calls - 2 <= 40, "the batch, the trials, and the batch without the culprits"
    found = quarantined(crowd)
    assert set(found) == planted == {SUBJECTS.index(key.subject) for key in result.quarantined}
    assert all("version 1 was refused (specificity is" in reason for reason in found.values())
    assert len(result.planned.plan.requests) == WRONG - 3
    with crowd.ledger.read() as tx:
        assert [v.state for v in tx.versions()] == [VersionState.REFUSED, VersionState.PROMOTED]
        kinds = [e.kind for e in tx.audit()]
        (event,) = [e for e in tx.audit() if e.kind == "bisect"]
    assert kinds[2:] == ["plan", "edit", "evaluate", "bisect", "plan", "edit", "evaluate", "promote"]
    assert len(event.body["trials"]) == crowd.editor.calls - 2
    assert len(event.body["culprits"]) == 3
    assert crowd.sync().outcome is CycleOutcome.NOTHING


@pytest.mark.slow
def test_a_culprit_among_new_facts_is_found_beside_those_that_current_holds(few: World) -> None:
    few.max_facts = 16
    assert few.sync().outcome is CycleOutcome.PROMOTED
    few.max_facts = 1000
    with few.ledger.read() as tx:
        held = tx.versions()[0].plan_hash
        kept = {r.key.subject for r in tx.plan(held).requests} if tx.plan(held) else set()  # type: ignore[union-attr]
    new = next(i for i in range(RIGHT, RIGHT + FEW) if SUBJECTS[i] not in kept)
    few.base.harm[prompt(new)] = {prompt(i): " nowhere" for i in range(10)}
    built = few.editor.calls
    assert few.sync().outcome is CycleOutcome.PROMOTED
    assert set(quarantined(few)) == {new}
    assert few.editor.calls - built <= 2 + (1 + 3 + 1) + 1, "two builds, the search, and the trial that convicts"
    assert few.current == 3


@pytest.mark.slow
def test_a_culprit_is_tried_again_when_its_value_changes(few: World) -> None:
    (planted,) = plant(few, 5, count=1)
    few.sync()
    few.base.harm = {}
    few.pass_time(timedelta(days=10))
    few.source.now -= timedelta(days=5)
    changed = statement(SUBJECTS[planted], SEAT, "Q5001")
    few.source.set_item(SUBJECTS[planted], label=f"house {planted}.", statements=[changed])
    few.source.now = few.clock.time
    result = few.sync()
    assert result.outcome is CycleOutcome.PROMOTED
    assert len(result.planned.plan.requests) == FEW


@pytest.mark.slow
def test_no_fact_is_blamed_where_too_little_was_asked(world: World) -> None:
    world.gate = DEMANDING
    result = world.sync()
    assert result.outcome is CycleOutcome.REFUSED
    assert result.reason == "specificity rests on 3 samples, 50 are demanded"
    with world.ledger.read() as tx:
        assert tx.quarantine() == {}
        assert tx.audit(kind="bisect") == []
    assert world.editor.calls == 1
