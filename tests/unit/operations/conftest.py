from tests.support.cli import clean_environment, cli
from tests.support.site import _one_version, built, new_site, random_base, site

__all__ = ["_one_version", "built", "clean_environment", "cli", "new_site", "random_base", "site"]
