from tests.support.ledger_fixtures import ledger, ledger_url, postgres, templates
from tests.support.wikidata_fixtures import oxigraph

__all__ = ["ledger", "ledger_url", "oxigraph", "postgres", "templates"]
