"""``kbsync promote``."""

from __future__ import annotations

import pytest

from tests.support.cli import Cli


@pytest.mark.slow
def test_the_alias_moves_once_and_a_dry_run_moves_nothing(cli: Cli) -> None:
    for step in ("pull", "probe", "plan", "edit", "evaluate"):
        cli.good(step)
    assert "current is version 1" in cli.good("promote", "1", "--dry-run").out
    assert cli.good("status", "--json").json["current"] is None
    assert "current is version 1 (before: the base)" in cli.good("promote", "1").out
    assert "already current: version 1" in cli.good("promote", "1").out
    assert cli("promote", "2").code == 66
