"""Checks of the machine, through ``kbsync doctor``."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.doctor import check, levels


def test_a_full_disk_fails_and_an_almost_full_one_warns(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kbsync.operations.checks.machine.LITTLE_SPACE", 2**80)
    assert levels(cli("doctor", "--json"))["disk space"] == "warning"
    monkeypatch.setattr("kbsync.operations.checks.machine.TOO_LITTLE_SPACE", 2**80)
    result = cli("doctor", "--json")
    assert result.code == 74 and levels(result)["disk space"] == "failed"


def test_a_page_that_can_not_be_served_fails(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    text = cli.config.read_text(encoding="utf-8")
    cli.config.write_text(text + "[web]\nenabled = true\n", encoding="utf-8")
    assert "actions are off" in check(cli("doctor", "--json"), "status page")["detail"]
    monkeypatch.setattr("kbsync.operations.checks.machine.importlib.util.find_spec", lambda name: None)
    found = check(cli("doctor", "--json"), "status page")
    assert found["level"] == "failed" and "kbsync[web]" in found["next_step"]
