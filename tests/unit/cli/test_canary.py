"""``kbsync canary``."""

from __future__ import annotations

import pytest

from tests.support.cli import Cli


@pytest.mark.slow
def test_a_version_that_answers_as_it_was_measured_stays(cli: Cli) -> None:
    cli.good("sync")
    result = cli.good("canary", "--json").json
    assert (result["version"], result["lost"], result["rolled_back_to"]) == (1, [], None)
    assert cli.good("status", "--json").json["current"]["number"] == 1


@pytest.mark.slow
def test_a_version_that_forgot_is_rolled_back(cli: Cli) -> None:
    cli.good("sync")
    cli.world.base.damage = {"The capital of France is": " Bonn", "The capital of Italy is": " Bonn"}
    result = cli("canary", "--json")
    assert result.json["rolled_back_to"] == 0
    assert "The capital of France is" in result.json["lost"]
    assert cli.good("status", "--json").json["current"] is None
