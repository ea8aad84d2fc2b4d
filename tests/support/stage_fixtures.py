from collections.abc import Iterator
from pathlib import Path

import pytest

from kbsync.ledger.ledger import SqlLedger
from tests.support.sqlite_ledger import empty_ledger
from tests.support.stage_world import World, make_world


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqlLedger]:
    opened = SqlLedger(empty_ledger(tmp_path / "ledger.sqlite3"))
    yield opened
    opened.close()


@pytest.fixture
def world(ledger: SqlLedger) -> World:
    return make_world(ledger)
