"""`kbsync db backup` and `kbsync db restore`: a ledger goes and comes back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.invoke import invoke
from tests.support.world_app import MAIN, write_configuration


@pytest.mark.slow
def test_the_commands(tmp_path: Path) -> None:
    config = write_configuration(tmp_path, MAIN)

    def kbsync(*arguments: str) -> str:
        done = invoke(["--config", str(config), *arguments])
        assert done.exit_code == 0, done.output
        return done.stdout

    kbsync("db", "upgrade")
    assert "copied" in kbsync("db", "backup", str(tmp_path / "copy"))
    (tmp_path / "state" / "ledger.sqlite3").rename(tmp_path / "old")
    for rest in ("-wal", "-shm"):
        (tmp_path / "state" / f"ledger.sqlite3{rest}").unlink(missing_ok=True)
    assert "restored" in kbsync("db", "restore", str(tmp_path / "copy"))
    assert "sound" in kbsync("db", "check")
