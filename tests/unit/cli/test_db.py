"""``kbsync db upgrade`` and ``kbsync db check``."""

from __future__ import annotations

import pytest

from tests.support.cli import Cli


def test_a_ledger_of_this_schema_stays_as_it_is(cli: Cli) -> None:
    view = cli.good("db", "upgrade", "--json").json
    assert view["already"] is True and view["before"] == view["after"]
    assert "already" in cli.good("db", "upgrade").out


@pytest.mark.slow
def test_a_missing_ledger_is_made_and_a_dry_run_makes_none(cli: Cli) -> None:
    file = cli.config.parent / "state" / "ledger.sqlite3"
    cli.world.ledger.close()
    for path in file.parent.glob("ledger.sqlite3*"):
        path.unlink()
    assert cli.good("db", "upgrade", "--dry-run", "--json").json["before"] is None
    assert not file.exists()
    assert cli.good("db", "upgrade", "--json").json["already"] is False
    assert cli.good("db", "check", "--json").json["problems"] == []
