"""``kbsync bench auto``: what it refuses; a whole run takes a trained model, and is the committed evidence."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbsync.ledger import schema
from kbsync.ledger.engine import sqlite_url
from kbsync.ledger.ledger import SqlLedger
from tests.support.cli import Cli
from tests.support.stage_world import make_world

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--demo", "."], 65, "holds no ledger.sqlite3"),
        (["--budget", "soon"], 2, "--budget"),
        ([], 65, "the base knows 0 of the facts that may be used for it, and 10 are needed"),
    ],
)
def test_bad_input_is_one_clear_error_and_nothing_is_written(
    bench: Cli, tmp_path: Path, arguments: list[str], code: int, says: str
) -> None:
    place = tmp_path / "demo"
    place.mkdir()
    schema.upgrade(url := sqlite_url(place / "ledger.sqlite3"))
    ledger = SqlLedger(url)
    make_world(ledger).sync()
    ledger.close()
    result = bench("bench", "auto", "--demo", "demo", "--hand", "table", "--answer-tokens", "2", *arguments)
    assert result.code == code, result
    assert says in result.err
    assert not (tmp_path / "docs").exists()
