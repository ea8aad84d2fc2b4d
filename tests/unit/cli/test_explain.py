"""``kbsync explain``."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from kbsync.domain.statement import ItemId
from tests.support.cli import Cli
from tests.support.stage_world import statement


@pytest.mark.slow
def test_explain_follows_a_fact_from_revision_to_weights(cli: Cli) -> None:
    cli.good("sync")
    told = cli.good("explain", "Q183", "P6", "--json").json
    assert told == cli.good("explain", "q183", "head-of-government", "--json").json
    assert {c["before"] for c in told["history"]} == {None}
    assert any("Angela Merkel (Q567)" in c["after"] and "until 2021-12-08" in c["after"] for c in told["history"])
    assert told["observed"]["values"] == told["believed"]["values"] == ["Olaf Scholz (Q61053)"]
    assert told["trust"] == "trusted"
    assert (told["verdict"]["kind"], told["verdict"]["matched"]) == ("stale", "Angela Merkel")
    (held,) = told["versions"]
    assert (held["version"], held["before"], held["after"]) == (1, " Angela Merkel.", " Olaf Scholz")
    shown = cli.good("explain", "Q183", "P6").out
    assert "Olaf Scholz (Q61053)" in shown and "log-probability" in shown and "revision" in shown


@pytest.mark.slow
def test_explain_tells_what_was_believed_when_and_from_which_revision(cli: Cli) -> None:
    world, revisions = cli.world, []

    def edit(*held: Any, days: float) -> None:
        world.set_statements("Q38", *held, age=timedelta(0))
        revisions.append(world.source.items[ItemId("Q38")].revision)
        cli.good("pull")
        world.pass_time(timedelta(days=days))
        cli.good("pull")

    cli.good("pull")
    begun = world.clock.time
    edit(statement("Q38", "P36", "Q90"), days=0.5)  # vandalism: reverted before it was believed
    edit(statement("Q38", "P36", "Q220"), days=10)
    edit(statement("Q38", "P36", "Q64"), days=4)  # a move that becomes trusted
    edit(days=4)  # a retraction
    edit(statement("Q38", "P36", "Q90"), days=1)
    cli.good("fact", "approve", "Q38", "P36", "--reason", "the gazette")
    told = cli.good("explain", "Q38", "P36", "--json").json
    first = told["history"][0]["revision"]
    values = [belief["values"] for belief in told["beliefs"]]
    assert values == [["Rome (Q220)"], ["Berlin (Q64)"], [], ["Paris (Q90)"]]
    assert [b["revision"] for b in told["beliefs"]] == [first, *revisions[2:]]
    how = [belief["how"] for belief in told["beliefs"]]
    assert how[:3] == ["trusted"] * 3 and how[3].startswith("approved by ") and how[3].endswith(": the gazette")
    since = [datetime.fromisoformat(belief["since"]) for belief in told["beliefs"]]
    assert since == [begun, *(begun + timedelta(days=d) for d in (14.5, 18.5, 19.5))]
    assert [b["until"] for b in told["beliefs"]] == [*(b["since"] for b in told["beliefs"][1:]), None]
    shown = cli.good("explain", "Q38", "P36").out
    assert "Beliefs" in shown and "no value holds" in shown and "the gazette" in shown


@pytest.mark.slow
def test_explain_names_quarantine_and_what_was_left_out(cli: Cli) -> None:
    cli.world.editor.refuse = {"France": "its loss did not fall"}
    cli.good("sync")
    told = cli.good("explain", "Q142", "P6", "--json").json
    assert told["quarantine"] == told["versions"][0]["left_out"] == "its loss did not fall"
    assert "in quarantine" in cli.good("explain", "Q142", "P6").out
    status = cli.good("status", "--json").json
    assert status["quarantine"] == [{"subject": "Q142", "property": "P6", "reason": "its loss did not fall"}]
    assert status["current"]["facts"] == 1


@pytest.mark.parametrize(
    ("item", "relation", "code", "says"),
    [
        ("Q1", "P6", 66, "kbsync pull"),
        ("Q183", "P999", 66, "head-of-government (P6)"),
        ("Germany", "P6", 65, "not a Wikidata item id"),
    ],
)
def test_explain_refuses_by_name(cli: Cli, item: str, relation: str, code: int, says: str) -> None:
    cli.good("pull")
    result = cli("explain", item, relation)
    assert result.code == code
    assert says in result.err
