from tests.support.browser import chromium
from tests.support.cli import clean_environment, cli
from tests.support.stage_fixtures import ledger, world

__all__ = ["chromium", "clean_environment", "cli", "ledger", "world"]
