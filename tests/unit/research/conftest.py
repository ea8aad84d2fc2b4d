from tests.support.cli import clean_environment

__all__ = ["clean_environment"]
