"""The facts that the stages share: read once, with names and verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from kbsync.domain.fact import FactKey
from kbsync.domain.statement import ItemId
from kbsync.domain.verdict import VerdictKey
from kbsync.ledger.ledger import SqlLedgerReader
from kbsync.stages.binding import Stages
from kbsync.stages.cycle import CycleOutcome
from kbsync.stages.facts import unjudged_facts
from kbsync.stages.probe import probe
from kbsync.stages.pull.pull import pull
from tests.support.stage_world import CAPITAL, HEAD, RELATIONS, World


@pytest.fixture
def label_joins(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The stage that was at work, each time that the labels of many items were read."""
    joins, stage = [], [""]
    read_labels = SqlLedgerReader.labels

    def labels(self: SqlLedgerReader, items: Sequence[ItemId]) -> Any:
        joins.append(stage[0])
        return read_labels(self, items)

    def announced(name: str) -> None:
        function = getattr(Stages, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            stage[0] = name
            result = function(*args, **kwargs)
            stage[0] = f"after {name}"
            return result

        monkeypatch.setattr(Stages, name, call)

    for name in ("pull", "probe", "plan", "edit", "evaluate", "bisect", "promote"):
        announced(name)
    monkeypatch.setattr(SqlLedgerReader, "labels", labels)
    return joins


def test_a_whole_cycle_joins_the_labels_of_its_facts_once(world: World, label_joins: list[str]) -> None:
    assert world.sync().outcome is CycleOutcome.PROMOTED
    assert [stage for stage in label_joins if stage != "pull"] == ["after pull"]


def test_a_cycle_that_searches_for_culprits_joins_the_labels_once(world: World, label_joins: list[str]) -> None:
    world.base.damage = {"The capital of France is": " Bonn"}
    result = world.sync()
    assert result.outcome is CycleOutcome.REFUSED and "no fact passes" in result.reason
    assert [stage for stage in label_joins if stage != "pull"] == ["after pull"]


def test_every_believed_fact_has_its_relation_and_its_names(world: World) -> None:
    pull(world.run, world.source, RELATIONS)
    facts = world.facts
    assert list(facts.watched) == [
        FactKey(ItemId(item), prop)
        for item, prop in (("Q142", CAPITAL), ("Q183", CAPITAL), ("Q38", CAPITAL), ("Q142", HEAD), ("Q183", HEAD))
    ]
    relation, fact = facts.watched[FactKey(ItemId("Q183"), HEAD)]
    assert (relation.name, fact.subject_label, fact.answers[0].label) == (
        "head-of-government",
        "Germany",
        "Olaf Scholz",
    )
    assert [former.label for former in fact.former] == ["Angela Merkel"]


def test_facts_are_unjudged_until_the_verdicts_are_read_anew(world: World) -> None:
    pull(world.run, world.source, RELATIONS)
    facts = world.facts
    assert len(facts.unjudged) == 5
    probe(world.run, world.base, facts, RELATIONS, answer_tokens=10)
    assert len(facts.unjudged) == 5
    with world.ledger.read() as tx:
        judged = facts.judged(tx)
    assert judged.unjudged == []
    assert judged.verdicts == world.facts.verdicts
    fact = judged.watched[FactKey(ItemId("Q142"), HEAD)]
    assert judged.verdicts[fact.fact.key].key == VerdictKey.of(fact.relation, fact.fact, world.base.fingerprint)


def test_for_probing_only_the_facts_without_a_verdict_are_read(world: World) -> None:
    pull(world.run, world.source, RELATIONS)
    probe(world.run, world.base, world.facts, RELATIONS[:1], answer_tokens=10)
    with world.ledger.read() as tx:
        assert unjudged_facts(tx, RELATIONS, world.base.fingerprint).watched == {}
        assert len(unjudged_facts(tx, RELATIONS, "another model").watched) == 5
