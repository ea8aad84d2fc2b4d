from tests.support.demo_fixtures import moment, table
from tests.support.demo_world import store
from tests.support.stage_fixtures import ledger, world

__all__ = ["ledger", "moment", "store", "table", "world"]
