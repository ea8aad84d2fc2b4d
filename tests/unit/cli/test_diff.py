"""``kbsync diff``."""

from __future__ import annotations

import pytest

from tests.support.cli import Cli


@pytest.mark.slow
def test_what_a_version_adds_against_the_base(cli: Cli) -> None:
    cli.good("sync")
    view = cli.good("diff", "0", "1", "--json").json
    assert {(e["change"], e["subject"], e["answer"]) for e in view["changes"]} == {
        ("add", "Q142", "Jean Castex"),
        ("add", "Q183", "Olaf Scholz"),
    }
    shown = cli.good("diff", "0", "1").out
    assert "Olaf Scholz" in shown and "2 facts differ, 0 held by both" in shown
    assert cli("diff", "0", "9").code == 66
