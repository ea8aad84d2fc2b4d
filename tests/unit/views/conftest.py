from tests.support.cli import clean_environment, cli

__all__ = ["clean_environment", "cli"]
