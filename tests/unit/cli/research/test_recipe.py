"""``kbsync recipe tune``, and what the other commands say where the recipe is to be found."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from kbsync.ledger.ledger import SqlLedger
from tests.support.cli import Cli
from tests.support.sqlite_ledger import empty_ledger
from tests.support.tuning_world import tuning_world
from tests.support.world_app import MAIN, app_of, write_configuration

AUTO = MAIN.replace('recipe = "table"', 'recipe = "auto"') + '[tune]\nbudget = "2s"\n'


@pytest.fixture
def auto(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cli]:
    """A command line over a world without a recipe."""
    import kbsync.bootstrap

    ledger = SqlLedger(empty_ledger(tmp_path / "state" / "ledger.sqlite3"))
    world = tuning_world(ledger, tmp_path / "recipes")
    config = write_configuration(tmp_path, AUTO, world.relations)
    (tmp_path / "recipes" / "table.toml").unlink()
    monkeypatch.setattr(kbsync.bootstrap, "App", app_of(world))
    yield Cli(config, world)
    ledger.close()


def recipe_of(cli: Cli) -> Path:
    return cli.config.parent / "recipes" / f"auto-{cli.world.base.fingerprint[:12]}.toml"


@pytest.mark.slow
def test_a_sync_finds_a_recipe_and_says_so(auto: Cli) -> None:
    dry = auto.good("sync", "--dry-run", "--json").json
    assert (dry["outcome"], dry["recipe"], dry["plan"]["changes"]) == ("planned", None, 4)
    assert not recipe_of(auto).exists()
    shown = auto.good("sync", "--json").json
    assert shown["outcome"] == "promoted"
    assert shown["recipe"]["file"] == str(recipe_of(auto))
    assert recipe_of(auto).is_file()
    assert json.loads(recipe_of(auto).with_suffix(".json").read_text())["score"] == shown["recipe"]["score"]
    events = auto.good("audit", "log", "--json").json
    assert [e["kind"] for e in events].count("tune") == 1
    auto.good("report", "1", "--output", "report.html")
    assert "the best of" in Path("report.html").read_text()


@pytest.mark.slow
def test_more_time_is_the_same_search(auto: Cli) -> None:
    auto.good("sync")
    before = recipe_of(auto).read_text()
    planned = auto.good("recipe", "tune", "--units", "150", "--dry-run", "--json").json
    assert planned["units"] <= 150 and planned["trials"] >= 2
    assert recipe_of(auto).read_text() == before
    shown = auto.good("recipe", "tune", "--units", "150")
    assert "development facts" in shown.out and "more time:" in shown.out
    assert recipe_of(auto).read_text() != before


@pytest.mark.slow
def test_commands_that_need_a_recipe_say_how_one_is_found(auto: Cli) -> None:
    auto.good("pull")
    unasked = auto("recipe", "tune")
    assert unasked.code == 1 and "kbsync probe" in unasked.err
    auto.good("probe")
    result = auto("plan")
    assert result.code == 66
    assert "kbsync recipe tune" in result.err
    told = {check["name"]: check for check in auto("doctor", "--json").json["checks"]}
    assert "recipe auto" in told["configuration"]["detail"]


@pytest.mark.slow
def test_a_base_that_no_recipe_fits_ends_with_the_gate_s_code(auto: Cli) -> None:
    auto.world.base.perplexity = 40.0
    auto.config.write_text(AUTO + '[[gate.thresholds]]\nmetric = "perplexity"\nmax_growth = 0.05\n')
    refused = auto("sync")
    assert refused.code == 3
    assert "perplexity" in refused.out and "demanded: at most 0.05, 0.95 short" in refused.out
    assert auto("recipe", "tune").code == 3
    assert not recipe_of(auto).exists()


@pytest.mark.parametrize("budget", ["soon", "0m"])
def test_a_budget_must_be_a_duration(auto: Cli, budget: str) -> None:
    assert auto("recipe", "tune", "--budget", budget).code == 2
