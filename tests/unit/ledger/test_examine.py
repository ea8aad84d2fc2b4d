"""Every row that decides something is vouched for: what SQL changed is named, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Column, Connection, MetaData, Table, Text

from kbsync.ledger import altered, examine, row_journal, schema, tables
from kbsync.ledger.engine import make_engine, opened, parse_url, reading, writing
from kbsync.ledger.ledger import SqlLedger
from kbsync.ledger.row_journal import Key
from kbsync.stages.session import WRITER
from kbsync.testing.samples import NOW
from tests.support import ledger_raw as raw
from tests.support.filled_ledger import fill as fill_much
from tests.support.tampering import fill, tamper


@pytest.mark.slow
def test_random_sql_is_named_or_changes_nothing_that_is_used(ledger_url: str, tmp_path: Path) -> None:
    fill(ledger_url, tmp_path)
    told = tamper(ledger_url, tmp_path, 30, seed=20261129)
    assert told.unseen == []
    assert told.named >= 25


def test_every_table_is_bound_or_says_why_not() -> None:
    bound = {table.name for table in row_journal.bound()}
    others = row_journal.CHAINED | row_journal.UNDECIDING
    assert bound | set(others) == set(tables.metadata.tables)
    assert not bound & set(others)
    assert all(others.values())


def test_a_new_table_is_bound_without_another_line() -> None:
    assert row_journal.is_bound(Table("new", MetaData(), Column("key", Text, primary_key=True)))


def test_the_writers_lease_is_the_one_whose_token_is_compared() -> None:
    assert examine._WRITER == WRITER


@pytest.mark.slow
def test_many_rows_are_compared_in_shares(ledger_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fill_much(ledger_url)
    monkeypatch.setattr(altered, "_SHARE", 100)
    assert schema.check(ledger_url) == []
    raw.run(
        ledger_url,
        "UPDATE verdicts SET kind = 'ambiguous' WHERE subject = 'Q520'",
        "DELETE FROM labels WHERE item = 'Q521'",
        "UPDATE facts SET believed_at = NULL, believed = NULL, believed_hash = NULL WHERE subject LIKE 'Q7%'",
    )
    found = schema.check(ledger_url)
    assert "verdicts: row Q520 P35 v model t was changed by something other than kbsync" in found
    assert "labels: row Q521 was removed by something other than kbsync" in found
    assert sum(what.startswith("facts: row Q7") for what in found) == 20
    assert "facts: 30 more rows differ from what kbsync wrote" in found


@pytest.mark.slow
def test_rows_are_read_once_however_many_there_are(ledger_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fill_much(ledger_url)
    read: list[str] = []
    whole = row_journal.stored_rows

    def counted(connection: Connection, table: Table, *condition: object) -> Iterator[tuple[Key, dict[str, object]]]:
        read.extend([table.name] * (not condition))
        return whole(connection, table, *condition)

    monkeypatch.setattr(altered, "_SHARE", 50)
    monkeypatch.setattr(row_journal, "stored_rows", counted)
    assert schema.check(ledger_url) == []
    assert len(read) == len(set(read)), "none was read twice"


def test_what_a_transaction_undoes_is_not_noted(ledger_url: str) -> None:
    ledger = SqlLedger(ledger_url)
    with pytest.raises(RuntimeError), ledger.write() as tx:
        tx.set_watermark("x", NOW)
        raise RuntimeError
    with ledger.write() as tx:
        tx.set_watermark("y", NOW)
    ledger.close()
    assert schema.check(ledger_url) == []


@pytest.mark.slow
def test_an_upgrade_does_not_make_right_what_was_wrong(ledger_url: str) -> None:
    fill_much(ledger_url)
    raw.run(ledger_url, "UPDATE labels SET label = 'Kermit the Frog' WHERE item = 'Q501'")
    with opened(parse_url(ledger_url), foreign_keys=False) as engine, writing(engine) as connection:
        wrong = {(row.table, row.key) for row in examine.altered_rows(connection)}
        # As a migration might.
        connection.exec_driver_sql("UPDATE labels SET aliases = '[\"new\"]'")
        examine.adopt(connection, wrong)
    assert schema.check(ledger_url) == ["labels: row Q501 was changed by something other than kbsync"]


@pytest.mark.slow
def test_a_journal_that_was_emptied_does_not_fit_the_trail(ledger_url: str, tmp_path: Path) -> None:
    fill(ledger_url, tmp_path)
    raw.run(ledger_url, *(raw.switch_off(ledger_url, "row_journal", event) for event in ("delete", "update")))
    raw.run(ledger_url, "DELETE FROM row_journal")
    engine = make_engine(parse_url(ledger_url))
    with reading(engine) as connection:
        assert len(examine.altered(connection)) > 20
    engine.dispose()
    assert "the row journal is broken" in " ".join(schema.check(ledger_url))
