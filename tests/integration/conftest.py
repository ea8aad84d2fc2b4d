from tests.support.browser import chromium
from tests.support.cli import clean_environment, cli
from tests.support.demo_fixtures import moment, table
from tests.support.demo_world import store
from tests.support.instruct_model import instruct
from tests.support.wikidata_fixtures import oxigraph

__all__ = ["chromium", "clean_environment", "cli", "instruct", "moment", "oxigraph", "store", "table"]
