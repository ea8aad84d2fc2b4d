"""``kbsync rollback``."""

from __future__ import annotations

import pytest

from tests.support.cli import Cli


@pytest.mark.slow
def test_rollback_goes_back_and_says_so(cli: Cli) -> None:
    cli.good("sync")
    assert "current is the base" in cli.good("rollback", "--to", "0").out
    assert "already at the base" in cli.good("rollback", "--to", "0").out
    assert "held" in cli.good("sync").out
    nothing = cli("rollback")
    assert nothing.code == 66 and "nothing before it" in nothing.err
    assert "current is the base" in cli.good("versions").out
