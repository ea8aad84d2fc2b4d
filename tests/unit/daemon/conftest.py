from tests.support.stage_fixtures import ledger, world

__all__ = ["ledger", "world"]
