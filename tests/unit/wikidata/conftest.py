from tests.support.sparql_clients import client_of, patience
from tests.support.wikidata_fixtures import oxigraph

__all__ = ["client_of", "oxigraph", "patience"]
