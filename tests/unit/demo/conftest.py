from tests.support.demo_fixtures import moment, table

__all__ = ["moment", "table"]
