"""A writer is killed inside a transaction: the ledger is as before it, and the next writer can go on."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import timedelta

import pytest

from kbsync.domain.audit import verify
from kbsync.domain.statement import ItemId
from kbsync.ledger import schema
from kbsync.ledger.ledger import SqlLedger
from kbsync.testing.samples import HEAD_OF_STATE, NOW, record, statement
from tests.support.paths import ROOT

PREPARE = """
import sys, time
from datetime import timedelta
from kbsync.ledger.ledger import SqlLedger
from kbsync.testing.samples import *
ledger = SqlLedger(sys.argv[1])
"""
STOPS_INSIDE = """
with ledger.write() as tx:
    records = [record(statement(n, subject=f"Q{n}"), subject=f"Q{n}") for n in range(1, 3000)]
    tx.record_items(records, [HEAD_OF_STATE], NOW)
    tx.record_items([record(revision=2)], [HEAD_OF_STATE], NOW)
    tx.append_audit("pull", "victim", {}, NOW)
    tx.set_watermark("wikidata", NOW)
    print("inside", flush=True)
    time.sleep(60)
"""
NEVER_STOPS = """
number = 0
while True:
    number += 1
    with ledger.write() as tx:
        tx.record_items([record(statement(1, f"Q{number}"), revision=number)], [HEAD_OF_STATE], NOW)
        tx.append_audit("pull", "victim", {"number": number}, NOW)
        tx.set_watermark("wikidata", NOW + timedelta(seconds=number))
    print("inside", flush=True)
"""


def kill(url: str, script: str, *, after: float = 0.0) -> None:
    """Run ``script``; ``after`` seconds after it reports that it is inside a transaction, send SIGKILL."""
    command = [sys.executable, "-c", PREPARE + script, url]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "inside\n"
        time.sleep(after)
        process.kill()
        process.stdout.read()


def test_a_kill_inside_a_transaction_leaves_the_former_state(ledger: SqlLedger, ledger_url: str) -> None:
    with ledger.write() as tx:
        tx.record_items([record(statement(1))], [HEAD_OF_STATE], NOW)
    kill(ledger_url, STOPS_INSIDE)
    with ledger.read() as tx:
        assert tx.statements(ItemId("Q145"), HEAD_OF_STATE) == [statement(1)]
        assert set(tx.heads([ItemId("Q1"), ItemId("Q145")])) == {"Q145"}
        assert tx.watermark("wikidata") is None
        assert tx.audit() == []
    with ledger.write() as tx:
        assert tx.append_audit("pull", "survivor", {}, NOW).seq == 1
    assert schema.check(ledger_url) == []


@pytest.mark.parametrize("after", [0.05, 0.13])
def test_a_kill_at_any_moment_keeps_rows_and_watermark_together(
    ledger: SqlLedger, ledger_url: str, after: float
) -> None:
    kill(ledger_url, NEVER_STOPS, after=after)
    with ledger.read() as tx:
        events = tx.audit()
        last = len(events)
        assert last >= 1
        assert tx.watermark("wikidata") == NOW + timedelta(seconds=last)
        assert tx.heads([ItemId("Q145")])[ItemId("Q145")].revision == last
        assert tx.statements(ItemId("Q145"), HEAD_OF_STATE) == [statement(1, f"Q{last}")]
        assert len(tx.statement_history(ItemId("Q145"), HEAD_OF_STATE)) == last
    assert verify(events) is None
    assert schema.check(ledger_url) == []
