"""`python -m tests.evidence ledger` on a small ledger: what it fills is sound, and what it asks is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbsync.ledger import schema
from kbsync.ledger.ledger import SqlLedger
from kbsync.ports import Work
from tests.evidence.load.ledger import measure_ledgers
from tests.evidence.load.ledger_world import LedgerSize
from tests.support.ledger_fixtures import BACKENDS
from tests.support.postgres_server import shared

SMALL = LedgerSize(items=24, unjudged=7, versions=3, facts=5, events=50)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_small_ledger_is_filled_and_asked(backend: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}" if backend == "sqlite" else shared().database()
    document = measure_ledgers([url], SMALL, Work())
    figures = {f["name"].removeprefix(f"{backend}: "): f["value"] for f in document["figures"]}
    assert figures["statements"] == SMALL.total == 600
    assert figures["rows of history"] == SMALL.total + SMALL.properties, "one item has a second revision"
    assert figures["facts due"] == SMALL.unjudged
    assert figures["size"] > 100 and figures["status"] > 0 and figures["explain"] > 0
    assert schema.check(url) == []
    again = measure_ledgers([url], SMALL, Work())
    assert not [f for f in again["figures"] if "new statements" in f["name"]], "it is filled already"
    ledger = SqlLedger(url)
    with ledger.read() as tx:
        assert len(tx.versions()) == SMALL.versions and len(tx.audit()) == SMALL.events
    ledger.close()
