from tests.support.demo_fixtures import moment, table
from tests.support.wikidata_fixtures import oxigraph

__all__ = ["moment", "oxigraph", "table"]
