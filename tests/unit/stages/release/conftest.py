import pytest

from kbsync.ledger.ledger import SqlLedger
from tests.support.crowd_world import FEW, WRONG, make_crowd
from tests.support.stage_world import World


@pytest.fixture
def crowd(ledger: SqlLedger) -> World:
    return make_crowd(ledger, WRONG)


@pytest.fixture
def few(ledger: SqlLedger) -> World:
    return make_crowd(ledger, FEW)
