from tests.support.ledger_fixtures import ledger, ledger_url, postgres, templates

__all__ = ["ledger", "ledger_url", "postgres", "templates"]
