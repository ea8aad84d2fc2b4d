"""Counts of facts and verdicts that are kept while these are written, on both databases."""
# ruff: noqa: F811 (pytest hands imported fixtures to arguments of the same name)

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from kbsync.domain.fact import FactKey, FactRecord
from kbsync.domain.statement import ItemId, PropertyId
from kbsync.domain.verdict import VerdictKind
from kbsync.ledger import schema
from kbsync.ledger.ledger import SqlLedger
from kbsync.ledger.repository import tallies
from kbsync.testing.samples import NOW
from tests.support import ledger_raw as raw
from tests.support.ledger_fixtures import ledger, ledger_url, postgres, templates  # noqa: F401
from tests.support.stage_world import BORNE, CAPITAL, CASTEX_ENDED, HEAD, PARIS, make_world


def counted(url: str) -> list[str]:
    """What the tallies say that counting does not; and that the ledger vouches for itself."""
    return [what for what in schema.check(url) if what.startswith("tallies")]


@pytest.mark.slow
def test_a_cycle_keeps_the_counts_right(ledger: SqlLedger, ledger_url: str) -> None:
    world = make_world(ledger)
    world.sync()
    assert counted(ledger_url) == []
    with ledger.read() as tx:
        facts, model = tx.fact_counts(CAPITAL), world.base.fingerprint
        assert (facts.facts, facts.believed, facts.askable, facts.waiting) == (3, 3, 3, 0)
        head = next(relation for relation in world.relations if relation.property == HEAD)
        assert sum(tx.verdict_counts(HEAD, model, head.template_hash).values()) == 2
    world.pass_time(timedelta(days=1))
    world.set_statements("Q142", PARIS, CASTEX_ENDED, BORNE, age=timedelta(minutes=1))
    world.sync()
    assert counted(ledger_url) == []
    with ledger.read() as tx:
        assert tx.fact_counts(HEAD).waiting == 1
    world.pass_time(timedelta(days=5))
    world.sync()
    assert counted(ledger_url) == []


@pytest.mark.slow
def test_whatever_is_written_in_whatever_order_is_counted(ledger: SqlLedger, ledger_url: str) -> None:
    world = make_world(ledger)
    world.sync()
    draw = random.Random(23)
    with ledger.read() as tx:
        records = tx.facts()
        verdicts = list(tx.verdicts(world.base.fingerprint).values())
    for _ in range(25):
        chosen = draw.sample(records, 3)
        with ledger.write() as tx:
            tx.put_facts([_changed(record, draw) for record in (*chosen, chosen[0])])
            tx.record_verdicts(draw.sample(verdicts, 2), NOW)
    assert counted(ledger_url) == []


def _changed(record: FactRecord, draw: random.Random) -> FactRecord:
    believed = draw.choice([record.believed, None])
    names = draw.choice([record.names_hash, "n" * 64])
    at = record.believed_at if believed else None
    return FactRecord(key=record.key, observed=record.observed, believed=believed, believed_at=at, names_hash=names)


def test_a_property_without_facts_has_none(ledger: SqlLedger) -> None:
    with ledger.read() as tx:
        counts = tx.fact_counts(PropertyId("P9"))
        assert (counts.facts, counts.believed, counts.askable, counts.waiting) == (0, 0, 0, 0)
        assert tx.verdict_counts(PropertyId("P9"), "model", "hash") == {}
        assert tx.fact(FactKey(ItemId("Q1"), PropertyId("P9"))) is None


@pytest.mark.slow
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE tallies SET facts = facts + 1 WHERE state = 'believed'",
        "DELETE FROM tallies WHERE state = 'facts'",
        "INSERT INTO tallies VALUES ('P36', 'm', 'h', 'current', 7)",
    ],
)
def test_counts_that_somebody_changed_are_named_and_made_anew_once_a_person_accepts(
    ledger: SqlLedger, ledger_url: str, statement: str
) -> None:
    make_world(ledger).sync()
    raw.run(ledger_url, statement)
    assert counted(ledger_url)
    with ledger.write() as tx:
        assert any(what.startswith("tallies") for what in tx.accept_rows())
    assert schema.check(ledger_url) == []


def test_states_and_kinds_of_verdicts_have_different_names() -> None:
    states = {tallies.FACTS, tallies.BELIEVED, tallies.ASKABLE, tallies.WAITING}
    assert not states & {kind.value for kind in VerdictKind}
