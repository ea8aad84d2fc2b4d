"""A ledger behind PgBouncer in transaction mode: each transaction may run on another connection to the server."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from kbsync.ledger import schema
from kbsync.ledger.engine import make_engine, parse_url, reading
from kbsync.ledger.ledger import SqlLedger
from kbsync.testing.samples import NOW
from tests.support.filled_ledger import fill
from tests.support.ledger_fixtures import postgres  # noqa: F401 (a fixture)
from tests.support.postgres_server import Postgres

pytestmark = pytest.mark.postgres

SETTINGS = """
[databases]
* = host={host} port={port} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
auth_type = any
pool_mode = transaction
default_pool_size = 3
server_reset_query =
unix_socket_dir =
{user}
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def binary() -> str:
    found = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin")
    if not found:
        pytest.skip("needs pgbouncer (Debian: apt-get install pgbouncer)")
    return found


@pytest.fixture(params=["", "kbsync", 'odd "name" of a schema'])
def pooled_url(request: pytest.FixtureRequest, postgres: Postgres, tmp_path: Path) -> Iterator[str]:  # noqa: F811
    """The URL of an empty database by way of a pooler, with and without a schema of the ledger's own."""
    program, direct, listen = binary(), make_url(postgres.database()), free_port()
    settings = tmp_path / "pgbouncer.ini"
    host, port = str(direct.query["host"]), direct.port or 5432
    # It doesn't run as root; the server's own user gets to its socket.
    user = f"user = {Path(host).owner()}" if os.geteuid() == 0 else ""
    settings.write_text(SETTINGS.format(host=host, port=port, listen=listen, user=user))
    tmp_path.chmod(0o755)
    process = subprocess.Popen([program, str(settings)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(listen)
        url = make_url(f"postgresql://postgres@127.0.0.1:{listen}/{direct.database}")
        url = url.update_query_dict({"schema": request.param} if request.param else {})
        yield url.render_as_string(hide_password=False)
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(port: int) -> None:
    for _ in range(100):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise AssertionError("pgbouncer did not start")


def test_a_ledger_works_behind_a_pooler(pooled_url: str) -> None:
    schema.upgrade(pooled_url)
    ledger = SqlLedger(pooled_url)
    fill(pooled_url)

    def read(_: int) -> int:
        with ledger.read() as tx:
            return len(tx.audit())

    def write(number: int) -> None:
        with ledger.write() as tx:
            tx.append_audit("pull", f"writer {number}", {}, NOW)

    before = read(0)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, range(20)))
        assert set(pool.map(read, range(40))) == {before + 20}
    ledger.close()
    assert schema.check(pooled_url) == []


@pytest.mark.parametrize("said", ["", "-1", "3"])
def test_nothing_is_prepared_by_name(pooled_url: str, said: str) -> None:
    """Whatever the URL says of it."""
    url = make_url(pooled_url).update_query_dict({"prepare_threshold": said} if said else {})
    engine = make_engine(parse_url(url.render_as_string(hide_password=False)))
    seen = set()
    for _ in range(12):
        with reading(engine) as connection:
            seen.add(connection.scalar(text("SELECT pg_backend_pid()")))
            assert connection.scalar(text("SELECT count(*) FROM pg_prepared_statements")) == 0
    assert seen
    engine.dispose()
