from tests.support.site import _one_version, built, clean_environment, new_site, random_base, site

__all__ = ["_one_version", "built", "clean_environment", "new_site", "random_base", "site"]
