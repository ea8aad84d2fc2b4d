"""``kbsync demo``: what a dry run says, and whose directory it may use."""

from __future__ import annotations

from pathlib import Path

from tests.support.cli import Cli


def test_a_dry_run_names_the_place_and_writes_nothing(cli: Cli, tmp_path: Path) -> None:
    state = tmp_path / "demo"
    view = cli.good("demo", "--state", str(state), "--dry-run", "--json").json
    assert (view["state"], view["replaces"]) == (str(state), False)
    assert not state.exists()


def test_a_directory_of_somebody_else_is_refused(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    refused = cli("demo", "--state", str(tmp_path / "mine"), "--dry-run")
    assert refused.code == 74 and "something else" in refused.err
    assert (tmp_path / "mine" / "letter.txt").read_text() == "dear"
