from tests.support.ledger_fixtures import ledger, ledger_url, postgres, templates
from tests.support.sparql_clients import client_of, patience
from tests.support.wikidata_fixtures import oxigraph

__all__ = ["client_of", "ledger", "ledger_url", "oxigraph", "patience", "postgres", "templates"]
