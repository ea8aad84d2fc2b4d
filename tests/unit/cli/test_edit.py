"""``kbsync edit``."""

from __future__ import annotations

import pytest

from tests.support.cli import Cli


def planned(cli: Cli) -> Cli:
    for step in ("pull", "probe", "plan"):
        cli.good(step)
    return cli


@pytest.mark.slow
def test_a_plan_becomes_a_version_once(cli: Cli) -> None:
    planned(cli)
    assert "would build version 1" in cli.good("edit", "--dry-run").out
    assert "built version 1" in cli.good("edit").out
    again = cli.good("edit", "--json").json
    assert (again["version"], again["already"], again["state"]) == (1, True, "candidate")


def test_a_fact_that_can_not_be_edited_is_left_out_by_name(cli: Cli) -> None:
    planned(cli).world.editor.refuse = {"France": "its loss did not fall"}
    result = cli.good("edit").out
    assert "Q142 P6" in result and "its loss did not fall" in result
