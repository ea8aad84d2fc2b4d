"""``kbsync doctor`` as a whole: its checks, their order, and its exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kbsync.domain.errors import SourceDown
from tests.support.doctor import check, levels, with_model


def test_a_model_that_can_not_be_loaded_is_the_only_trouble_here(cli: Any) -> None:
    result = cli("doctor", "--json")
    assert result.code == 65
    assert result.json["healthy"] is False
    assert levels(result) == {
        "configuration": "ok",
        "secrets": "ok",
        "state directory": "ok",
        "disk space": "ok",
        "database": "ok",
        "clock": "ok",
        "lease": "ok",
        "source": "ok",
        "relations": "ok",
        "phrasings": "warning",
        "model": "failed",
        "dtype": "skipped",
        "chat": "skipped",
        "covariance": "skipped",
        "recipe": "skipped",
        "gate": "ok",
        "capacity": "ok",
        "status page": "ok",
    }
    assert "table" in check(result, "model")["detail"] and check(result, "model")["next_step"]
    text = cli("doctor")
    assert text.code == 65 and "failed   model" in text.out and "→" in text.out


@pytest.mark.slow
def test_everything_is_in_place(cli: Any, tmp_path: Path) -> None:
    with_model(cli, tmp_path / "tiny")
    result = cli("doctor", "--json")
    assert result.code == 0 and result.json["healthy"] is True
    assert {name: level for name, level in levels(result).items() if level != "ok"} == {"phrasings": "warning"}
    assert "4 layers, width 96, torch.float32" in check(result, "model")["detail"]
    assert "not measured yet for layers 1, 2" in check(result, "covariance")["detail"]
    text = cli("doctor")
    assert (text.code, text.out.splitlines()[-1]) == (0, "everything is in place")


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
