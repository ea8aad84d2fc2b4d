"""Pages of facts hold what one would pick by hand out of all facts."""

from __future__ import annotations

import random

import pytest
from sqlalchemy import text

from kbsync.domain.fact import FactKey, FactRecord
from kbsync.domain.statement import ItemId, Labels
from kbsync.domain.verdict import VerdictKind
from kbsync.ledger.engine import make_engine, parse_url, reading
from kbsync.ledger.ledger import SqlLedger
from kbsync.ledger.repository import fact_pages as module
from kbsync.ports import FactCondition, LedgerReader
from kbsync.testing.samples import CAPITAL, HEAD_OF_STATE, NOW, fact, record, statement, verdict
from tests.unit.ledger.repository.test_facts import drawn

SUBJECTS = [f"Q{n}" for n in range(1, 41)]
Only = FactCondition | VerdictKind | None


@pytest.fixture
def records(ledger: SqlLedger) -> list[FactRecord]:
    """Facts in every condition; each askable one is judged or not."""
    draw = random.Random(5)
    records = [drawn(draw, subject) for subject in SUBJECTS]
    kinds = draw.choices([VerdictKind.CURRENT, VerdictKind.STALE, None], k=len(records))
    with ledger.write() as tx:
        tx.record_items([record(subject=subject) for subject in SUBJECTS], [HEAD_OF_STATE], NOW)
        tx.put_facts([*records, fact("Q1", CAPITAL, believed=True)])
        judged = [
            verdict(r.key, value_hash=r.believed.value_hash, kind=kind)
            for r, kind in zip(records, kinds, strict=True)
            if r.believed and r.believed.values and kind
        ]
        tx.record_verdicts([*judged, verdict(records[0].key, value_hash="old", kind=VerdictKind.STALE)], NOW)
        tx.set_quarantine(records[3].key, "x", "it does harm", NOW)
    return records


def judged_by() -> tuple[str, str]:
    key = verdict(FactKey(ItemId("Q1"), HEAD_OF_STATE)).key
    return key.model_fingerprint, key.template_hash


def walked(tx: LedgerReader, only: Only, limit: int) -> list[FactRecord]:
    """All pages, one after the other."""
    found: list[FactRecord] = []
    page = tx.fact_page(HEAD_OF_STATE, limit=limit, only=only, judged_by=judged_by())
    while True:
        assert len(page.records) <= limit
        found += page.records
        if page.after is None:
            return found
        page = tx.fact_page(HEAD_OF_STATE, limit=limit, after=page.after, only=only, judged_by=judged_by())


def fits(tx: LedgerReader, found: FactRecord, only: Only) -> bool:
    """The same question, answered from the record."""
    if only is None:
        return True
    if only is FactCondition.WAITING:
        return found.pending
    if only is FactCondition.QUARANTINED:
        return found.key in tx.quarantine()
    if found.believed is None or not found.believed.values:
        return False
    of_belief = [
        v
        for key, v in tx.verdicts(judged_by()[0]).items()
        if key.fact == found.key and key.value_hash == found.believed.value_hash
    ]
    return not of_belief if only is FactCondition.UNASKED else [v.kind for v in of_belief] == [only]


@pytest.mark.parametrize("only", [None, *FactCondition, VerdictKind.CURRENT, VerdictKind.STALE, VerdictKind.UNKNOWN])
@pytest.mark.parametrize("limit", [1, 7, 100])
def test_pages_hold_every_fact_that_fits_once(
    ledger: SqlLedger, records: list[FactRecord], only: Only, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EXAMINED", 9)
    with ledger.read() as tx:
        expected = {r.key for r in records if fits(tx, r, only)}
        found = [r.key for r in walked(tx, only, limit)]
        assert tx.fact_total(HEAD_OF_STATE) == len(records) and tx.fact_total(CAPITAL) == 1
    assert len(found) == len(set(found)) and set(found) == expected
    assert expected or only is VerdictKind.UNKNOWN


def test_facts_about_an_item_are_its_own_and_those_that_name_it(ledger: SqlLedger) -> None:
    with ledger.write() as tx:
        for subject in ("Q1", "Q2", "Q3"):
            tx.record_items([record(statement(1, "Q2", subject=subject), subject=subject)], [HEAD_OF_STATE], NOW)
        tx.put_facts([fact(subject) for subject in ("Q1", "Q2", "Q3")])
    with ledger.read() as tx:
        about = [r.key.subject for r in tx.facts_about(ItemId("Q2"), [HEAD_OF_STATE], limit=50)]
        assert about == ["Q2", "Q1", "Q3"]
        assert [r.key.subject for r in tx.facts_about(ItemId("Q2"), [HEAD_OF_STATE], limit=2)] == ["Q2", "Q1"]
        assert tx.facts_about(ItemId("Q2"), [CAPITAL], limit=50) == []


@pytest.mark.parametrize(
    ("part", "items"),
    [("élis", ["Q1"]), ("ÉLIS", ["Q1"]), ("borne", ["Q1"]), ("100%", ["Q3"]), ("%", ["Q3"]), ("nobody", [])],
)
def test_items_are_found_by_a_part_of_their_name(ledger: SqlLedger, part: str, items: list[str]) -> None:
    named = {"Q1": "Élisabeth Borne", "Q2": "Olaf Scholz", "Q3": "100% Wolf", "Q4": None}
    with ledger.write() as tx:
        tx.record_labels([Labels(item=ItemId(item), label=label, aliases=()) for item, label in named.items()])
    with ledger.read() as tx:
        assert list(tx.items_named(part, limit=5).items) == items


def test_a_search_examines_a_part_of_all_names(ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NAMES_EXAMINED", 4)
    with ledger.write() as tx:
        tx.record_labels([Labels(item=ItemId(f"Q{n}"), label=f"Item {n % 3}", aliases=()) for n in range(1, 10)])
    with ledger.read() as tx:
        first = tx.items_named("item 1", limit=5)
        assert (first.items, first.after) == (("Q1", "Q4"), "Q4")
        second = tx.items_named("item 1", limit=1, after=first.after)
        assert (second.items, second.after) == (("Q7",), "Q7")
        third = tx.items_named("item 1", limit=5, after=second.after)
        assert (third.items, third.after) == ((), None)


@pytest.mark.parametrize(
    ("only", "index"),
    [
        (None, "ix_facts_property_subject"),
        (FactCondition.WAITING, "ix_facts_waiting"),
        (VerdictKind.STALE, "ix_verdicts_kind"),
    ],
)
def test_each_page_walks_along_its_index(ledger_url: str, only: Only, index: str) -> None:
    """On SQLite, which plans without having seen the data."""
    if not ledger_url.startswith("sqlite"):
        pytest.skip("PostgreSQL reads a table of no rows without any index")
    engine = make_engine(parse_url(ledger_url))
    asked: list[tuple[str, object]] = []
    with reading(engine) as connection:
        real = connection.execute

        def noting(query, *rest):  # type: ignore[no-untyped-def]
            compiled = query.compile(connection, compile_kwargs={"literal_binds": True})
            asked.append((str(compiled), None))
            return real(query, *rest)

        connection.execute = noting  # type: ignore[method-assign]
        module.SqlFactPageReader(connection).fact_page(HEAD_OF_STATE, limit=5, after=ItemId("Q7"), only=only)
        plan = " ".join(str(row) for row in real(text(f"EXPLAIN QUERY PLAN {asked[0][0]}")))
    engine.dispose()
    assert index in plan and "TEMP B-TREE" not in plan
