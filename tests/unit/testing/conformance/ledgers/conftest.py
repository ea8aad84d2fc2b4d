from tests.support.stage_fixtures import ledger

__all__ = ["ledger"]
