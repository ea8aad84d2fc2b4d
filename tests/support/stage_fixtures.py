from collections.abc import Iterator
from pathlib import Path

import pytest

from kbsync.ledger import schema
from kbsync.ledger.ledger import SqlLedger
from tests.support.stage_world import World, make_world


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqlLedger]:
    url = f"sqlite:///{tmp_path / 'ledger.sqlite3'}"
    schema.upgrade(url)
    opened = SqlLedger(url)
    yield opened
    opened.close()


@pytest.fixture
def world(ledger: SqlLedger) -> World:
    return make_world(ledger)
