"""A consistent copy of the ledger while others read and write it, and how to restore it.

A SQLite ledger is copied by SQLite's online backup, and the copy is checked. A PostgreSQL ledger is copied by
``pg_dump`` in the custom format, which administrators know. Neither blocks a writer for long.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import URL, inspect, text
from sqlalchemy.schema import DropSchema

from kbsync.domain.errors import NotFound, StoreError
from kbsync.ledger import schema
from kbsync.ledger.engine import connect_sqlite, opened, parse_url, place, reading, schema_of, sqlite_url, writing
from kbsync.system.children import environment
from kbsync.system.durable import private_directory, sync

_KEPT = "The ledger was only read; no backup was left behind."
QUOTE = '"'
_PAGES = 1000
"""Number of pages that are copied before other processes may write."""


def backup(url: str, file: Path) -> int:
    """Copy the ledger to ``file``, which appears whole or not at all; returns its bytes.

    Raises:
        StoreError: The ledger can't be read, the file is there already or can't be written, or the copy is not sound.
        NotFound: ``pg_dump`` is not installed.
    """
    require_possible(url, file)
    parsed, target = parse_url(url), file.expanduser().absolute()
    try:
        # Nobody else can put a link into this directory that the copy would follow.
        with private_directory(target.parent) as directory:
            unfinished = directory / "ledger"
            if parsed.get_backend_name() == "sqlite":
                copy_sqlite(Path(str(parsed.database)), unfinished)
            else:
                own = schema_of(parsed)
                part = [f'--schema="{own.replace(QUOTE, QUOTE * 2)}"'] if own else []
                _postgresql("pg_dump", parsed, ["--format=custom", f"--file={unfinished}", *part])
            sync(unfinished)
            _require_free(target)
            unfinished.rename(target)
        sync(target.parent)
    except (OSError, sqlite3.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        what = f"Copying the ledger to {target} failed: {reason}."
        raise StoreError(what, kept=_KEPT, next_step="Check the directory and the room on its disk.") from error
    return target.stat().st_size


def require_possible(url: str, file: Path) -> int:
    """Raise what ``backup`` would raise before it begins; returns the size of the ledger in bytes, which is about that
    of the copy."""
    parsed, target = parse_url(url), file.expanduser().absolute()
    with opened(parsed) as engine:
        schema.require_current(engine)
        sqlite = parsed.get_backend_name() == "sqlite"
        pages = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
        with reading(engine) as connection:
            size = connection.scalar(text(pages if sqlite else "SELECT pg_database_size(current_database())"))
    _require_free(target)
    return int(size or 0)


def _require_free(target: Path) -> None:
    """Raise ``StoreError`` if the path exists, even as a link that leads nowhere."""
    if os.path.lexists(target):
        raise StoreError(f"{target} is there already.", kept=_KEPT, next_step="Name a new file.")


def restore(url: str, file: Path) -> None:
    """Restore the ledger in ``file`` to ``url``, where there must be none; ``kbsync db check`` examines it afterwards.

    Raises:
        StoreError: There is a ledger already, or the file is not a sound backup.
        NotFound: There is no file, or ``pg_restore`` is not installed.
    """
    require_restorable(url, file)
    parsed, source = parse_url(url), file.expanduser().absolute()
    if parsed.get_backend_name() == "postgresql":
        own = schema_of(parsed)
        if own:  # the backup makes the schema again; if it exists, it is empty
            with opened(parsed) as engine, writing(engine) as connection:
                connection.execute(DropSchema(own, if_exists=True))
        _postgresql("pg_restore", parsed, ["--exit-on-error", "--single-transaction", "--no-owner", str(source)])
        return
    target = Path(str(parsed.database))
    target.parent.mkdir(parents=True, exist_ok=True)
    with private_directory(target.parent) as directory:
        copy_sqlite(source, directory / "ledger")
        sync(directory / "ledger")
        (directory / "ledger").rename(target)
    sync(target.parent)


def require_restorable(url: str, file: Path) -> None:
    """Raise what ``restore`` would raise before it changes anything: no backup, an unsound one, or a ledger in its
    way."""
    parsed, source = parse_url(url), file.expanduser().absolute()
    if not source.is_file():
        raise NotFound(f"There is no file {source}.", next_step="Name a backup: `kbsync db backup FILE` makes one.")
    _require_empty(parsed)
    if parsed.get_backend_name() == "postgresql":
        _postgresql("pg_restore", None, ["--list", str(source)])
        return
    problems = schema.check(sqlite_url(_readable(source)))
    if problems:
        raise StoreError(f"The backup {source} is not sound: {'; '.join(problems)}.", next_step="Take another backup.")


def _readable(source: Path) -> Path:
    """Return the same path; raises ``StoreError`` if it is no SQLite file."""
    with source.open("rb") as stream:
        if stream.read(16) != b"SQLite format 3\0":
            next_step = "A backup of a ledger in PostgreSQL goes back into PostgreSQL only."
            raise StoreError(f"{source} is no backup of a ledger in SQLite.", next_step=next_step)
    return source


def _require_empty(parsed: URL) -> None:
    """Raise ``StoreError`` if there is a ledger already."""
    where = place(parsed)
    if parsed.get_backend_name() == "sqlite":
        taken = Path(str(parsed.database)).exists()
    else:
        with opened(parsed) as engine, reading(engine) as connection:
            taken = bool(inspect(connection).get_table_names())
    if taken:
        raise StoreError(
            f"There is a ledger at {where} already.",
            next_step="Move it away, or make an empty database, and configure that; a backup never overwrites.",
        )


def copy_sqlite(source: Path, target: Path) -> None:
    """Copy by SQLite's online backup, which is consistent even while others write, and check the copy's integrity."""
    with closing(connect_sqlite(source)) as live, closing(sqlite3.connect(target)) as copy:
        live.backup(copy, pages=_PAGES)
        copy.execute("PRAGMA journal_mode = DELETE")
        verdict = copy.execute("PRAGMA integrity_check").fetchone()[0]
        if verdict != "ok":
            raise StoreError(
                f"The copy of {source} is not sound: {verdict}.", kept=_KEPT, next_step="`kbsync db check` examines it."
            )


def _postgresql(program: str, url: URL | None, arguments: list[str]) -> None:
    """Run one of PostgreSQL's programs on a database, or only on a file if ``url`` is None."""
    binary = shutil.which(program)
    if binary is None:
        raise NotFound(
            f"{program} is not installed here; a ledger in PostgreSQL is copied by it.",
            next_step="Install PostgreSQL's client programs (Debian: postgresql-client), or run it beside the server.",
        )
    with _password_file(url) as file:
        completed = subprocess.run(
            [binary, *arguments, *(_address(url) if url else ())],
            env=environment(file),
            capture_output=True,
            text=True,
            check=False,
        )
    if completed.returncode:
        message = " ".join((completed.stderr or completed.stdout).split())[-500:]
        raise StoreError(
            f"{program} of {place(url) if url else arguments[-1]} failed: {message.rstrip('.')}.",
            kept=_KEPT if program == "pg_dump" else "The database is as it was: all of it is one transaction.",
            next_step="Check that server and client have the same major version, and that the URL names them rightly.",
        )


def _address(url: URL) -> list[str]:
    """Host, port, user and database as options; the URL's query may name the directory of a socket as the host."""
    hosts = url.query.get("host", ())
    # A plain name with a = in it would be taken for a whole connection string.
    database = (url.database or "").replace("\\", "\\\\").replace("'", "\\'")
    host = url.host or (hosts if isinstance(hosts, str) else next(iter(hosts), ""))
    options = {
        "--host": host,
        "--port": str(url.port or ""),
        "--username": url.username or "",
        "--dbname": f"dbname='{database}'",
    }
    return [f"{option}={value}" for option, value in options.items() if value] + ["--no-password"]


@contextmanager
def _password_file(url: URL | None) -> Iterator[dict[str, str]]:
    """Write the password into a file, and yield the variable that names the file to the program. Neither an option nor
    a variable holds the password: anybody can read a command line, and child processes inherit the environment."""
    given = {name: value for name, value in os.environ.items() if name.startswith("PG") and name != "PGPASSWORD"}
    password = (url.password if url else None) or os.environ.get("PGPASSWORD")
    if not password:
        yield given
        return
    escaped = str(password).replace("\\", "\\\\").replace(":", "\\:")
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", prefix="kbsync-") as file:  # mode 0600
        file.write(f"*:*:*:*:{escaped}\n")
        file.flush()
        yield given | {"PGPASSFILE": file.name}
