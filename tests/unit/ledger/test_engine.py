"""How both databases are opened and locked, and how their errors become kbsync's own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from kbsync.domain.errors import Busy, ConfigError, LedgerDown, StoreError
from kbsync.ledger import schema
from kbsync.ledger.engine import (
    make_engine,
    parse_url,
    place,
    reading,
    schema_of,
    sqlite_url,
    write_lock,
    writing,
)


@pytest.fixture
def engine(ledger_url: str) -> Iterator[Engine]:
    engine = make_engine(parse_url(ledger_url), patience=timedelta(milliseconds=50))
    yield engine
    engine.dispose()


def watermarks(engine: Engine) -> list[str]:
    with reading(engine) as connection:
        return list(connection.scalars(text("SELECT source FROM watermarks")))


def insert(source: str) -> str:
    return f"INSERT INTO watermarks (source, at) VALUES ('{source}', '2026-01-01T00:00:00.000000Z')"


def test_what_is_written_is_there_after_the_block_and_not_after_an_error(engine: Engine) -> None:
    with writing(engine) as connection:
        connection.exec_driver_sql(insert("first"))
    with pytest.raises(KeyError), writing(engine) as connection:
        connection.exec_driver_sql(insert("second"))
        raise KeyError
    assert watermarks(engine) == ["first"]


def test_a_second_writer_is_told_that_another_writes(engine: Engine) -> None:
    with (
        writing(engine),
        pytest.raises(Busy, match="Another process is writing to the ledger") as busy,
        writing(engine),
    ):
        raise AssertionError("two writers at once")
    assert busy.value.transient
    assert busy.value.next_step == "Try again in a moment."


def test_a_reader_writes_nothing_on_postgresql(engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite has no transactions that only read")
    with pytest.raises(StoreError, match="read-only"), reading(engine) as connection:
        connection.exec_driver_sql(insert("first"))


def test_a_reader_sees_one_snapshot(engine: Engine) -> None:
    with reading(engine) as connection:
        assert connection.scalar(text("SELECT count(*) FROM watermarks")) == 0
        with writing(engine) as writer:
            writer.exec_driver_sql(insert("meanwhile"))
        assert connection.scalar(text("SELECT count(*) FROM watermarks")) == 0
    assert watermarks(engine) == ["meanwhile"]


def test_references_are_checked_unless_migrations_switch_that_off(ledger_url: str) -> None:
    orphan = "INSERT INTO statement_history (statement_id, subject, property, revision, seen_at, after, hash) VALUES"
    orphan += f" ('x', 'Q999', 'P1', 1, '2026-01-01T00:00:00.000000Z', '{{}}', '{'f' * 64}')"
    for foreign_keys in (True, False):
        engine = make_engine(parse_url(ledger_url), foreign_keys=foreign_keys)
        if foreign_keys or engine.dialect.name == "postgresql":
            with pytest.raises(StoreError, match=r"(?i)foreign key"), writing(engine) as connection:
                connection.exec_driver_sql(orphan)
        else:
            with writing(engine) as connection:
                connection.exec_driver_sql(orphan)
        engine.dispose()


def test_an_error_of_the_database_is_told_with_its_place(engine: Engine) -> None:
    with pytest.raises(StoreError, match="no_such_table") as caught, reading(engine) as connection:
        connection.exec_driver_sql("SELECT * FROM no_such_table")
    assert place(engine.url) in caught.value.what
    assert "db check" in caught.value.next_step


def test_a_server_that_is_not_there_may_be_there_later() -> None:
    engine = make_engine(parse_url("postgresql://alice:s3cret@127.0.0.1:1/kb"))
    with pytest.raises(LedgerDown, match=r"postgresql://127\.0\.0\.1:1/kb can't be reached") as caught, reading(engine):
        raise AssertionError("connected")
    assert caught.value.transient
    assert "s3cret" not in str(caught.value)


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_text("no database at all, but long enough to be read as the header of one" * 20)
    engine = make_engine(parse_url(sqlite_url(tmp_path / "ledger.db")))
    with pytest.raises(StoreError, match="not a database") as caught, reading(engine):
        raise AssertionError("opened")
    assert caught.value.next_step == "This is no SQLite file: check the configured path."
    engine.dispose()


@pytest.mark.parametrize(
    ("url", "driver", "database"),
    [
        ("postgres://u:p%25%40w@h/db", "postgresql+psycopg", "db"),
        ("postgresql+asyncpg://u@h/d%20b", "postgresql+psycopg", "d b"),
        ("sqlite+aiosqlite:////tmp/ledger.db", "sqlite", "/tmp/ledger.db"),
        ("sqlite:////tmp/a%3Fb%23c%25.db", "sqlite", "/tmp/a?b#c%.db"),
        ("sqlite:////tmp/a%20ü.db", "sqlite", "/tmp/a ü.db"),
        ("sqlite:///~/ledger.db", "sqlite", str(Path.home() / "ledger.db")),
    ],
)
def test_urls_in_the_forms_that_others_write(url: str, driver: str, database: str) -> None:
    parsed = parse_url(url)
    assert (parsed.drivername, parsed.database) == (driver, database)
    assert parsed.password in (None, "p%@w")
    make_engine(parsed).dispose()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("sqlite:////tmp/what?.db", "question mark of the path as %3F"),
        ("sqlite:////tmp/ledger.db?mode=ro", "options, which are not read"),
        ("sqlite:///file:/tmp/ledger.db", "options, which are not read"),
        ("postgresql://u@h/db?schema=one&schema=two", "more than one schema"),
        ("postgresql://one:5432,two:5432/db", "host=one:5432&host=two:5432"),
    ],
)
def test_urls_that_would_be_another_ledger_are_refused(url: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_url(url)
    assert says in str(caught.value) + caught.value.next_step


def test_an_option_that_the_driver_does_not_know_is_no_server_that_is_down() -> None:
    engine = make_engine(parse_url("postgresql://u@127.0.0.1:1/db?search_path=mine"))
    with pytest.raises(StoreError, match='invalid connection option "search_path"') as caught, reading(engine):
        raise AssertionError("connected")
    assert not caught.value.transient and "?schema=NAME" in caught.value.next_step


def test_urls_are_parsed_and_shown_without_secrets() -> None:
    parsed = parse_url("postgresql://alice:s3cret@host:5433/kb?sslmode=require")
    assert parsed.drivername == "postgresql+psycopg"
    assert place(parsed) == "postgresql://host:5433/kb"
    assert place(parse_url(sqlite_url(Path("/var/lib/kb.db")))) == "/var/lib/kb.db"
    for url in ("sqlite://", "mysql://host/kb", "nonsense"):
        with pytest.raises(ConfigError):
            parse_url(url)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a?b=c.db", "100%41.db", "one#two.db", "ü é.db", "a;b&c.db", 'it\'s "odd".db'])
def test_signs_that_mean_something_in_a_url_may_stand_in_a_path(tmp_path: Path, name: str) -> None:
    file = tmp_path / "dir ?#%" / name
    schema.upgrade(sqlite_url(file))
    assert file.is_file()
    assert place(parse_url(sqlite_url(file))) == str(file)
    assert schema.check(sqlite_url(file)) == []


def read_only(file: Path) -> Callable[[Path, int], bool]:
    """``os.access`` of somebody who may read ``file`` and its directory, and not write; root may do everything."""
    return lambda path, how: not (how == os.W_OK and path in (file, file.parent))


@pytest.mark.parametrize("held", [False, True], ids=["nobody has it open", "a writer has it open"])
def test_a_file_that_may_not_be_written_is_read(tmp_path: Path, held: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "odd ?#%" / "ledger.db"
    schema.upgrade(sqlite_url(file))
    writer = make_engine(parse_url(sqlite_url(file)))
    with writing(writer) as connection:
        connection.exec_driver_sql(insert("first"))
    if not held:
        writer.dispose()
    before = {path.name for path in file.parent.iterdir()}
    assert len(before) == (3 if held else 1)
    monkeypatch.setattr(os, "access", read_only(file))
    reader = make_engine(parse_url(sqlite_url(file)))
    assert watermarks(reader) == ["first"]
    with pytest.raises(StoreError, match=r"readonly.*this user may write"), writing(reader) as connection:
        connection.exec_driver_sql(insert("second"))
    reader.dispose()
    assert {path.name for path in file.parent.iterdir()} == before
    monkeypatch.undo()
    writer.dispose()


def test_what_waits_beside_a_linked_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, link = tmp_path / "data" / "ledger.db", tmp_path / "link.db"
    schema.upgrade(sqlite_url(file))
    link.symlink_to(file)
    writer = make_engine(parse_url(sqlite_url(link)))
    with writing(writer) as connection:
        connection.exec_driver_sql(insert("first"))
    assert file.with_name("ledger.db-wal").stat().st_size, "not yet in the file itself"
    monkeypatch.setattr(os, "access", lambda _path, how: how != os.W_OK)
    reader = make_engine(parse_url(sqlite_url(link)))
    assert watermarks(reader) == ["first"]
    reader.dispose()
    monkeypatch.undo()
    writer.dispose()


def test_a_database_that_can_only_be_read_is_told(engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        pytest.skip("of PostgreSQL's replicas")
    with pytest.raises(StoreError, match="name the primary server"), writing(engine) as connection:
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")
        connection.exec_driver_sql(insert("first"))


def test_the_schema_of_a_url_is_told_and_has_a_lock_of_its_own() -> None:
    url = parse_url("postgresql://alice@host/kb?schema=kbsync&sslmode=require")
    assert schema_of(url) == "kbsync"
    assert place(url) == "postgresql://host/kb?schema=kbsync"
    assert len({write_lock(None), write_lock("kbsync"), write_lock("other")}) == 3
    assert 0 < write_lock("kbsync") < 2**63
