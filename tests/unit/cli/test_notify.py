"""``kbsync notify``."""

from __future__ import annotations

import pytest

from tests.support.cli import Cli


@pytest.mark.slow
def test_without_notifiers_there_is_nobody_to_tell(cli: Cli) -> None:
    cli.good("sync")
    assert cli.good("notify", "--json").json["delivered"] == 0
    assert cli.good("notify").out == "told of 0 moves, 0 given up, 0 still waiting\n"
