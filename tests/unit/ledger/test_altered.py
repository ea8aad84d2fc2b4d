"""Rows are compared with the journal by way of files, and what is found does not depend on how they are spread."""

from __future__ import annotations

import pytest

from kbsync.ledger import altered
from kbsync.ledger.engine import opened, parse_url, reading
from tests.support import ledger_raw as raw
from tests.support.filled_ledger import fill


@pytest.mark.slow
@pytest.mark.parametrize("share", [1, 40, 10**9])
def test_every_kind_of_change_is_found(ledger_url: str, monkeypatch: pytest.MonkeyPatch, share: int) -> None:
    monkeypatch.setattr(altered, "_SHARE", share)
    fill(ledger_url)
    raw.run(
        ledger_url,
        "UPDATE labels SET label = 'Kermit the Frog' WHERE item = 'Q501'",
        "DELETE FROM labels WHERE item = 'Q502'",
        "INSERT INTO labels VALUES ('Q999999', 'Nobody', '[]')",
    )
    with opened(parse_url(ledger_url)) as engine, reading(engine) as connection:
        found = {row.key[0]: (row.table, row.what, row.hash is None) for row in altered.altered_rows(connection)}
    assert found == {
        "Q501": ("labels", "was changed", False),
        "Q502": ("labels", "was removed", True),
        "Q999999": ("labels", "was added", False),
    }
