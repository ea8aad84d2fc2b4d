from tests.support.cli import clean_environment, cli
from tests.support.demo_fixtures import moment, table
from tests.support.wikidata_fixtures import oxigraph

__all__ = ["clean_environment", "cli", "moment", "oxigraph", "table"]
