"""One pass over all facts finds what a plan needs, and the plan is the one that is made of everything."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

import pytest

from kbsync.domain.statement import ItemId
from kbsync.domain.suspicion import Suspicion
from kbsync.domain.verdict import VerdictKind
from kbsync.stages import plan as stage
from kbsync.stages import survey as surveys
from kbsync.stages.decide import exclude
from kbsync.stages.facts import BelievedFacts
from kbsync.stages.judged import LedgerFacts
from kbsync.stages.plan import PlanPolicy
from kbsync.stages.probe import probe
from kbsync.stages.pull.pull import pull
from kbsync.stages.survey import Needed
from kbsync.testing.fake_model import TableBase
from kbsync.testing.samples import NOW
from tests.support.stage_world import CAPITAL, HEAD, World, WorldSite, statement

POLICY = PlanPolicy(kinds=frozenset({VerdictKind.STALE, VerdictKind.UNKNOWN}), suspicion=Suspicion())


def crowd(world: World, draw: random.Random, items: int = 24) -> None:
    """Items of which several have the same name, with random values; a third of the facts the base has right."""
    subjects, beliefs = [f"Q{1000 + number}" for number in range(items)], dict[str, str]()
    world.source.now, now = world.source.now - timedelta(days=60), world.source.now
    for number in range(6):
        world.source.set_item(f"Q{2000 + number}", label=f"Answer {number}", aliases=[f"Alias {number}"])
    for subject in subjects:
        label = f"Place {draw.randrange(items // 2)}"
        values = [statement(subject, prop, f"Q{2000 + draw.randrange(6)}") for prop in (CAPITAL, HEAD)]
        world.source.set_item(subject, label=label, statements=values)
        if draw.random() < 0.4:
            beliefs[f"The capital of {label} is"] = f" Answer {draw.randrange(6)}."
    world.source.now = now
    world.base = TableBase(beliefs)
    world.relations = tuple(replace(relation, subjects=tuple(map(ItemId, subjects))) for relation in world.relations)


def everything(facts: BelievedFacts) -> object:
    """Stands for ``Survey.needed`` that leaves nothing out."""

    def needed(self: object, active: object, refused: object, limit: object) -> Needed:
        return Needed(frozenset(facts.watched), 0)

    return needed


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_the_plan_is_the_one_that_is_made_of_everything(
    world: World, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = random.Random(seed)
    crowd(world, draw)
    monkeypatch.setattr("kbsync.domain.plan.LISTED", 3)
    monkeypatch.setattr(surveys, "LISTED", 3)
    recipe = replace(WorldSite(world).recipe, guard_count=3)
    pull(world.run, world.source, world.relations)
    probe(world.run, world.base, world.facts, world.relations, answer_tokens=10)
    keys = list(world.facts.watched)
    with world.ledger.write() as tx:
        tx.set_quarantine(keys[1], world.facts.watched[keys[1]].fact.value_hash, "for the test", NOW)
    exclude(world.run, keys[3], "for the test")
    for limit in (2, 5, 9, 1000):
        policy = replace(POLICY, limit=limit)
        monkeypatch.setattr(surveys.Survey, "needed", NEEDED)
        chosen = stage.draft(world.run, world.facts, recipe, policy)
        with world.ledger.read() as tx:
            stored = LedgerFacts(tx, world.relations, world.base.fingerprint)
            paged = stage.draft(world.run, stored, recipe, policy)
        monkeypatch.setattr(surveys.Survey, "needed", everything(world.facts))
        whole = stage.draft(world.run, world.facts, recipe, policy)
        assert chosen == paged == whole
        assert len(chosen.requests) <= limit
        assert chosen.counts.refused == len(chosen.refused) + chosen.unlisted


NEEDED = surveys.Survey.needed


def test_a_ledger_is_gone_through_a_page_at_a_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.sync()
    monkeypatch.setattr("kbsync.stages.judged.PAGE", 1)
    with world.ledger.read() as tx:
        paged = LedgerFacts(tx, world.relations, world.base.fingerprint)
        assert list(paged.each()) == list(world.facts.each())
        keys = [judged.fact.key for judged in paged.each()][1:4]
        assert paged.some(keys) == world.facts.some(keys)
        assert list(paged.some(keys)) == keys


@pytest.mark.slow
def test_the_trail_says_of_a_plan_what_the_plan_before_did_not(world: World) -> None:
    crowd(world, random.Random(7))
    pull(world.run, world.source, world.relations)
    probe(world.run, world.base, world.facts, world.relations, answer_tokens=10)
    recipe = WorldSite(world).recipe
    keys = [fact.key for fact in stage.draft(world.run, world.facts, recipe, POLICY).requests]
    for number, key in enumerate(keys[:4]):
        stage.plan(world.run, world.facts, recipe, POLICY)
        exclude(world.run, key, f"reason {number}")
    last = stage.plan(world.run, world.facts, recipe, POLICY).plan
    with world.ledger.read() as tx:
        first, *later = [event.body for event in tx.audit(kind="plan")]
    assert len(first["changes"]) == len(keys)
    assert [(body["changes"], list(body["refused"])) for body in later] == [([], [str(key)]) for key in keys[:4]]
    assert [body["after"] for body in later[1:]] == [body["plan"] for body in later[:-1]]
    assert {str(r.key) for r in last.refused} >= {str(key) for key in keys[:4]}
