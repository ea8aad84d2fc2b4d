"""``kbsync versions``."""

from __future__ import annotations

import pytest

from tests.support.cli import Cli


@pytest.mark.slow
def test_versions_are_listed_with_their_state_and_the_current_one_is_named(cli: Cli) -> None:
    assert cli.good("versions", "--json").json["versions"] == []
    cli.good("sync")
    (version,) = cli.good("versions", "--json").json["versions"]
    assert (version["number"], version["state"], version["facts"]) == (1, "promoted", 2)
    assert "promoted" in cli.good("versions").out
    cli.good("rollback", "--to", "0")
    assert "current is the base" in cli.good("versions").out
