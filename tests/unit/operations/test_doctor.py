from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from transformers import LlamaForCausalLM

from kbsync.domain.errors import SourceDown
from kbsync.ports import Work
from kbsync.stages.session import Run, writer
from tests.support.stage_world import TTL
from tests.support.tiny_model import byte_level_tokenizer, tiny_config


def levels(result: Any) -> dict[str, str]:
    return {check["name"]: check["level"] for check in result.json["checks"]}


def check(result: Any, name: str) -> dict[str, Any]:
    return next(c for c in result.json["checks"] if c["name"] == name)


@pytest.fixture(autouse=True)
def room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kbsync.operations.doctor.LITTLE_SPACE", 0)
    monkeypatch.setattr("kbsync.operations.doctor.TOO_LITTLE_SPACE", 0)


def test_a_model_that_can_not_be_loaded_is_the_only_trouble_here(cli: Any) -> None:
    result = cli("doctor", "--json")
    assert result.code == 65
    assert result.json["healthy"] is False
    assert levels(result) == {
        "configuration": "ok",
        "state directory": "ok",
        "disk space": "ok",
        "database": "ok",
        "clock": "ok",
        "lease": "ok",
        "source": "ok",
        "relations": "ok",
        "model": "failed",
        "covariance": "skipped",
        "gate": "ok",
        "capacity": "ok",
        "status page": "ok",
    }
    assert "table" in check(result, "model")["detail"] and check(result, "model")["next_step"]
    text = cli("doctor")
    assert text.code == 65 and "failed   model" in text.out and "→" in text.out


def test_everything_is_in_place(cli: Any, tmp_path: Path) -> None:
    with_model(cli, tmp_path / "tiny")
    result = cli("doctor", "--json")
    assert result.code == 0 and result.json["healthy"] is True
    assert set(levels(result).values()) == {"ok"}
    assert "4 layers, width 96, torch.float32" in check(result, "model")["detail"]
    assert "not measured yet for layers 1, 2" in check(result, "covariance")["detail"]
    text = cli("doctor")
    assert (text.code, text.out.splitlines()[-1]) == (0, "everything is in place")


def test_a_recipe_for_a_deeper_model_fails(cli: Any, tmp_path: Path) -> None:
    with_model(cli, tmp_path / "tiny")
    (tmp_path / "recipes" / "table.toml").write_text("layers = [40]", encoding="utf-8")
    result = cli("doctor", "--json")
    assert result.code == 65
    assert "40" in check(result, "model")["detail"]


def with_model(cli: Any, directory: Path) -> None:
    """Configure a real model, tiny and untrained."""
    tokenizer = byte_level_tokenizer(["The capital of France is Paris."])
    LlamaForCausalLM(tiny_config(len(tokenizer))).save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    text = cli.config.read_text(encoding="utf-8").replace('reference = "table"', f'reference = "{directory}"')
    cli.config.write_text(text, encoding="utf-8")


def test_what_rests_on_a_failed_check_is_skipped(cli: Any) -> None:
    cli.world.source.fail_next(SourceDown("It is down.", next_step="Try later."))
    result = cli("doctor", "--json")
    assert result.code == 69
    assert check(result, "source")["next_step"] == "Try later."
    assert check(result, "relations") | {"detail": ""} == {
        "name": "relations",
        "level": "skipped",
        "detail": "",
        "next_step": "",
        "exit_code": 0,
    }


def test_without_ledger_and_state(cli: Any) -> None:
    text = cli.config.read_text(encoding="utf-8").replace('state_dir = "state"', 'state_dir = "elsewhere"')
    cli.config.write_text(text, encoding="utf-8")
    result = cli("doctor", "--json")
    assert result.code == 74
    assert "kbsync init" in check(result, "state directory")["next_step"]
    assert "kbsync db upgrade" in check(result, "database")["next_step"]
    assert levels(result)["source"] == levels(result)["lease"] == "skipped"


def test_a_wrong_configuration_is_the_first_finding(cli: Any) -> None:
    cli.config.write_text("[source]\n", encoding="utf-8")
    result = cli("doctor", "--json")
    assert result.code == 78
    assert levels(result) == {"configuration": "failed"}
    assert "model" in check(result, "configuration")["detail"]


@pytest.mark.parametrize(
    ("ahead", "says"), [(timedelta(hours=1), "ahead of this machine's clock"), (timedelta(days=-3), "lags 3 days")]
)
def test_clocks_that_differ_are_a_warning(cli: Any, ahead: timedelta, says: str) -> None:
    cli.world.source.now = cli.world.clock.time + ahead
    found = check(cli("doctor", "--json"), "source")
    assert found["level"] == "warning"
    assert says in found["detail"] and found["next_step"]


def test_the_holder_of_the_lease_is_named(cli: Any) -> None:
    with writer(Run(ledger=cli.world.ledger, clock=cli.world.clock, work=Work(), actor="somebody"), TTL):
        found = check(cli("doctor", "--json"), "lease")
    assert found["level"] == "warning" and "somebody" in found["detail"]


def test_a_relation_without_statements_is_a_warning(cli: Any) -> None:
    cli.world.set_statements("Q142")
    cli.world.set_statements("Q183")
    found = check(cli("doctor", "--json"), "relations")
    assert found["level"] == "warning" and "head-of-government (P6)" in found["detail"]


def test_a_full_disk_fails_and_an_almost_full_one_warns(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kbsync.operations.doctor.LITTLE_SPACE", 2**80)
    assert levels(cli("doctor", "--json"))["disk space"] == "warning"
    monkeypatch.setattr("kbsync.operations.doctor.TOO_LITTLE_SPACE", 2**80)
    result = cli("doctor", "--json")
    assert result.code == 74 and levels(result)["disk space"] == "failed"


def test_a_clock_behind_the_ledger_is_a_warning(cli: Any) -> None:
    cli.world.sync()
    cli.world.clock.time -= timedelta(hours=2)
    found = check(cli("doctor", "--json"), "clock")
    assert found["level"] == "warning"
    assert "2:00:00 ahead of this machine's clock" in found["detail"] and "NTP" in found["next_step"]


def test_a_page_that_can_not_be_served_fails(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    text = cli.config.read_text(encoding="utf-8")
    cli.config.write_text(text + "[web]\nenabled = true\n", encoding="utf-8")
    assert "actions are off" in check(cli("doctor", "--json"), "status page")["detail"]
    monkeypatch.setattr("kbsync.operations.doctor.importlib.util.find_spec", lambda name: None)
    found = check(cli("doctor", "--json"), "status page")
    assert found["level"] == "failed" and "kbsync[web]" in found["next_step"]


def demand(cli: Any, samples: int) -> None:
    text = cli.config.read_text(encoding="utf-8")
    text = text.replace('metric = "specificity"', f'metric = "specificity"\nmin_samples = {samples}')
    cli.config.write_text(text, encoding="utf-8")


def test_a_site_that_is_too_small_for_its_gate_is_told_before_anything_is_built(cli: Any) -> None:
    demand(cli, 50)
    found = check(cli("doctor", "--json"), "gate")
    assert found["level"] == "warning" and "at most 5" in found["detail"]
    assert "min_samples" in found["next_step"] and "Watch more facts" in found["next_step"]
    for step in ("pull", "probe", "plan"):
        cli.good(step)
    found = check(cli("doctor", "--json"), "gate")
    assert found["level"] == "warning" and "only 3 can be asked" in found["detail"]
    assert "more than 44% of all others" in found["next_step"], "3 of 3, Wilson"


def test_what_the_gate_demands_is_what_the_next_version_will_be_asked(cli: Any) -> None:
    demand(cli, 3)
    for step in ("pull", "probe", "plan", "edit"):
        cli.good(step)
    assert check(cli("doctor", "--json"), "gate")["detail"] == "3 facts for specificity, 3 are demanded"
    asked = cli.good("evaluate", "--dry-run", "--json").json
    assert (asked["samples"]["specificity"], asked["short"]) == (3, [])
    figures = {m["name"]: m["samples"] for m in cli.good("evaluate", "--json").json["metrics"]}
    assert {name: count for name, count in asked["samples"].items() if count} == {
        name: figures[name] for name in asked["samples"] if name in figures
    }


def test_more_samples_than_are_asked_can_not_be_demanded(cli: Any) -> None:
    demand(cli, 201)
    found = check(cli("doctor", "--json"), "gate")
    assert found["level"] == "failed" and "gate.neighbours to 201" in found["next_step"]


def test_asking_for_the_lease_leaves_no_trace(cli: Any) -> None:
    cli.good("pull")
    with cli.world.ledger.write() as tx:
        before = tx.acquire_lease("writer", "test", TTL, cli.world.clock.now())
        tx.release_lease(before)
    cli("doctor")
    with cli.world.ledger.write() as tx:
        after = tx.acquire_lease("writer", "test", TTL, cli.world.clock.now())
        tx.release_lease(after)
    assert after.token == before.token + 1
