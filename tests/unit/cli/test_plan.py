"""``kbsync plan``."""

from __future__ import annotations

import pytest

from tests.support.cli import Cli


@pytest.mark.slow
def test_the_plan_tells_change_fact_answer_and_reason(cli: Cli) -> None:
    cli.good("pull")
    cli.good("probe")
    shown = cli.good("plan").out
    assert "add" in shown and "Germany (Q183 P6)" in shown and "Olaf Scholz" in shown and "Angela Merkel" in shown
    plan = cli.good("plan", "--json").json
    assert plan["already"] is True and plan["changes"] == 2
    assert {e["answer"] for e in plan["entries"]} == {"Olaf Scholz", "Jean Castex"}


@pytest.mark.slow
def test_a_plan_near_the_recipe_s_capacity_is_warned_of_before_anything_is_edited(cli: Cli) -> None:
    recipe = cli.config.parent / "recipes" / "table.toml"
    recipe.write_text(recipe.read_text(encoding="utf-8") + "\ncapacity = 2\n", encoding="utf-8")
    cli.good("pull")
    cli.good("probe")
    plan = cli.good("plan", "--json").json
    assert plan["warning"] == "2 facts are 100% of the 2 up to which the recipe was measured to hold"
    shown = cli.good("plan").out
    assert f"warning: {plan['warning']}" in shown
    assert f"warning: {plan['warning']}" in cli.good("sync").out
    found = {c["name"]: c for c in cli("doctor", "--json").json["checks"]}
    assert (found["capacity"]["level"], found["capacity"]["detail"]) == ("warning", plan["warning"])
    recipe.write_text(recipe.read_text(encoding="utf-8").replace("capacity = 2", "capacity = 9"), encoding="utf-8")
    assert cli("sync", "--json").json["plan"]["warning"] == "", "the limit shapes no weights, so the version stays"
    assert len(cli.good("versions", "--json").json["versions"]) == 1
