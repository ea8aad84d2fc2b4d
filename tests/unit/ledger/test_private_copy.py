"""The copy that a dry run works on: the same ledger in every row, and nobody waits for it or sees it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kbsync.domain.errors import SchemaError
from kbsync.domain.version import VersionState
from kbsync.ledger import schema
from kbsync.ledger.engine import sqlite_url
from kbsync.ledger.ledger import SqlLedger
from kbsync.ledger.private_copy import private_copy
from kbsync.testing.samples import HOUR, NOW
from tests.support.filled_ledger import fill, rows


@pytest.fixture
def filled(ledger_url: str) -> str:
    fill(ledger_url)
    return ledger_url


def rows_but_leases(url: str) -> dict[str, list[tuple[Any, ...]]]:
    return {table: found for table, found in rows(url).items() if table != "leases"}


@pytest.mark.slow
def test_the_copy_holds_every_row_but_the_leases(filled: str) -> None:
    with private_copy(filled) as url:
        assert rows_but_leases(url) == rows_but_leases(filled)
        assert schema.check(url) == []
        copy = SqlLedger(url)
        with copy.write() as tx:
            assert tx.held_lease("writer") is None
            assert tx.acquire_lease("writer", "dry run", HOUR, NOW).holder == "dry run"
        copy.close()


@pytest.mark.slow
def test_what_is_done_to_the_copy_is_done_to_nothing_else(filled: str, ledger: SqlLedger) -> None:
    before = rows(filled)
    with private_copy(filled) as url:
        copy = SqlLedger(url)
        with copy.write() as tx:
            tx.append_audit("plan", "dry run", {}, NOW)
            tx.set_version_state(1, VersionState.REFUSED)
        copy.close()
    assert rows(filled) == before
    assert not Path(url.removeprefix("sqlite:///")).exists()


@pytest.mark.slow
def test_the_original_is_written_while_a_copy_is_made_and_used(filled: str, ledger: SqlLedger) -> None:
    with ledger.write() as tx:
        tx.append_audit("pull", "before", {}, NOW)
        with private_copy(filled) as url:
            copy = SqlLedger(url)
            with copy.write() as other:
                assert [event.actor for event in other.audit()] == ["test"], "what is not committed is not there"
            tx.append_audit("pull", "meanwhile", {}, NOW)
            copy.close()
    with ledger.read() as tx:
        assert [event.actor for event in tx.audit()] == ["test", "before", "meanwhile"]


def test_where_no_ledger_is_there_is_no_copy(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="There is no ledger"), private_copy(sqlite_url(tmp_path / "none.db")):
        pass
    assert not (tmp_path / "none.db").exists()
