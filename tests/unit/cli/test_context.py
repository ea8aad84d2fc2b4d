"""From the options before the verb to a working application."""

from __future__ import annotations

import os

import pytest

from kbsync.cli.context import actor
from tests.support.cli import Cli


def test_who_asked_stands_in_the_audit_trail(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "alice")
    cli.good("pull")
    assert cli.good("audit", "log", "--json").json[0]["actor"] == "cli:alice"


def test_a_user_without_a_name_has_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("no such user")

    monkeypatch.setattr("getpass.getuser", nobody)
    assert actor() == f"cli:uid {os.getuid()}"


@pytest.mark.slow
def test_a_dry_run_says_on_stderr_that_nothing_was_changed(cli: Cli) -> None:
    assert "Dry run: nothing was changed." in cli.good("pull", "--dry-run").err
    assert "Dry run" not in cli("pull", "--dry-run", root=["--quiet"]).err
