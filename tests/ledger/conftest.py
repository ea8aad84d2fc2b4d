from tests.ledger.fixtures import ledger, ledger_url, postgres, templates

__all__ = ["ledger", "ledger_url", "postgres", "templates"]
