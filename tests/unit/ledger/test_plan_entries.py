"""The entries of plans by fact are those of the plans, or it is said."""

from __future__ import annotations

import pytest

from kbsync.ledger import schema
from kbsync.ledger.ledger import SqlLedger
from tests.support import ledger_raw as raw
from tests.support.stage_world import make_world


@pytest.mark.slow
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE plan_entries SET body = replace(body, 'Scholz', 'Kermit')",
        "DELETE FROM plan_entries WHERE subject = 'Q183'",
        "UPDATE plan_entries SET subject = 'Q38' WHERE subject = 'Q183'",
    ],
)
def test_what_differs_from_the_plans_is_named_and_made_anew(ledger_url: str, statement: str) -> None:
    ledger = SqlLedger(ledger_url)
    make_world(ledger).sync()
    assert schema.check(ledger_url) == []
    raw.run(ledger_url, statement)
    assert any("entries are not those of their plans" in what for what in schema.check(ledger_url))
    with ledger.write() as tx:
        assert tx.accept_rows()
    ledger.close()
    assert schema.check(ledger_url) == []
