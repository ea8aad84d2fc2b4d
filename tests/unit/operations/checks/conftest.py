from tests.support.cli import clean_environment, cli
from tests.support.doctor import enough_room

__all__ = ["clean_environment", "cli", "enough_room"]
