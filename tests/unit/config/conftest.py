from tests.support.config_fixtures import clean_environment, write

__all__ = ["clean_environment", "write"]
