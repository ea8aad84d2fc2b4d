"""``kbsync release``: a fact leaves quarantine."""

from __future__ import annotations

import pytest

from tests.support.cli import Cli


@pytest.mark.slow
def test_a_fact_leaves_quarantine_only_with_a_reason(cli: Cli) -> None:
    cli.world.editor.refuse = {"France": "its loss did not fall"}
    cli.good("sync")
    without = cli("release", "Q142", "P6", "--reason", "  ")
    assert without.code == 65 and "--reason" in without.err
    out = cli.good("release", "Q142", "P6", "--reason", "looked at it").out
    assert "out of quarantine: Q142 P6 (it was there because: its loss did not fall)" in out
    assert cli.good("status", "--json").json["quarantine"] == []
    assert "not in quarantine: Q142 P6" in cli.good("release", "Q142", "P6", "--reason", "again").out
