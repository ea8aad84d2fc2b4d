"""``kbsync probe``."""

from __future__ import annotations

import pytest

from tests.support.cli import Cli


@pytest.mark.slow
def test_each_fact_is_asked_once(cli: Cli) -> None:
    cli.good("pull")
    assert cli.good("probe", "--dry-run", "--json").json["asked"] == 5
    asked = cli.good("probe", "--json").json
    assert asked["asked"] == 5
    assert asked["verdicts"] == {"current": 3, "shaky": 0, "stale": 1, "unknown": 1, "ambiguous": 0}
    assert "already" in cli.good("probe").out
