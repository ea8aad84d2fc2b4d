from tests.support.daemon_service import service
from tests.support.site import _one_version, built, clean_environment, new_site, random_base
from tests.support.stage_fixtures import ledger, world

__all__ = [
    "_one_version",
    "built",
    "clean_environment",
    "ledger",
    "new_site",
    "random_base",
    "service",
    "world",
]
