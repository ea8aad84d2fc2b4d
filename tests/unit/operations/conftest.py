from tests.support.cli import clean_environment, cli
from tests.support.doctor import enough_room
from tests.support.ledger_fixtures import ledger, ledger_url, postgres, templates
from tests.support.site import _one_version, built, new_site, random_base, site

__all__ = [
    "_one_version",
    "built",
    "clean_environment",
    "cli",
    "enough_room",
    "ledger",
    "ledger_url",
    "new_site",
    "postgres",
    "random_base",
    "site",
    "templates",
]
