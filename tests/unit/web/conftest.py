from tests.support.browser import chromium
from tests.support.cli import clean_environment, cli
from tests.support.daemon_service import service
from tests.support.web_world import backend, backend_and_world

__all__ = ["backend", "backend_and_world", "chromium", "clean_environment", "cli", "service"]
