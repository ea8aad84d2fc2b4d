"""The schema's life: upgrades, refusals, and what `check` finds."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Engine, Text, create_engine, inspect, make_url, text

from kbsync.domain.errors import ConfigError, KbsyncError, SchemaError, StoreError
from kbsync.domain.fact import FactKey
from kbsync.domain.statement import ItemId
from kbsync.domain.verdict import Evidence, Reply, VerdictKind
from kbsync.ledger import schema, triggers
from kbsync.ledger.engine import make_engine, parse_url, place, reading, sqlite_url, writing
from kbsync.ledger.ledger import SqlLedger
from kbsync.ledger.tables import metadata
from kbsync.testing.samples import HEAD_OF_STATE, NOW, record, statement, verdict
from tests.support import ledger_raw as raw
from tests.support.filled_ledger import fill, rows
from tests.support.ledger_fixtures import BACKENDS
from tests.support.postgres_server import Postgres

EARLIER = [
    script.revision
    for script in ScriptDirectory(str(schema.migrations_directory())).walk_revisions()
    if script.revision != schema.REVISION
]


@pytest.fixture(params=BACKENDS)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A place where no ledger is yet, and that the test may spoil."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "state" / "ledger.db")
    server: Postgres = request.getfixturevalue("postgres")
    return server.database()


@pytest.fixture
def migrated(empty_url: str) -> Iterator[Engine]:
    schema.upgrade(empty_url)
    engine = make_engine(parse_url(empty_url), foreign_keys=False)
    yield engine
    engine.dispose()


def url_of(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=False)


class TestMigrations:
    @pytest.mark.slow
    def test_make_a_sound_ledger_and_leave_a_current_one_alone(self, migrated: Engine) -> None:
        ledger = SqlLedger(url_of(migrated))
        with ledger.write() as tx:
            tx.append_audit("pull", "test", {}, NOW)
        schema.upgrade(url_of(migrated))
        with ledger.read() as tx:
            assert len(tx.audit()) == 1
        ledger.close()
        assert schema.check(url_of(migrated)) == []

    @pytest.mark.slow
    def test_say_the_same_as_the_tables_to_alembic(self, migrated: Engine) -> None:
        with writing(migrated) as connection:
            command.check(schema.alembic_config(connection))

    @pytest.mark.slow
    def test_alembic_writes_to_the_output_of_today(self, migrated: Engine, capsys: pytest.CaptureFixture[str]) -> None:
        with redirect_stdout(StringIO()) as earlier, writing(migrated) as connection:
            command.check(schema.alembic_config(connection))
        said = earlier.getvalue()
        earlier.close()
        with writing(migrated) as connection:
            command.check(schema.alembic_config(connection))
        assert capsys.readouterr().out == said != ""

    @pytest.mark.slow
    def test_make_exactly_the_tables(self, migrated: Engine, tmp_path: Path, request: pytest.FixtureRequest) -> None:
        """Alembic compares neither checks nor names of keys."""
        if migrated.dialect.name == "sqlite":
            direct = create_engine(sqlite_url(tmp_path / "direct.db"))
        else:
            direct = create_engine(request.getfixturevalue("postgres").database())
        metadata.create_all(direct)
        assert _described(migrated) == _described(direct)
        direct.dispose()

    def test_are_numbered_and_the_newest_is_the_one_demanded(self) -> None:
        script = ScriptDirectory(str(schema.migrations_directory()))
        assert script.get_current_head() == schema.REVISION
        numbers = sorted(revision.revision for revision in script.walk_revisions())
        assert numbers == [f"{n:04d}" for n in range(1, len(numbers) + 1)]

    @pytest.mark.slow
    def test_take_over_the_version_table_of_earlier_ledgers(self, migrated: Engine) -> None:
        url = url_of(migrated)
        raw.run(url, f"ALTER TABLE {schema.VERSION_TABLE} RENAME TO alembic_version")
        assert schema.revision_at(url) == schema.REVISION
        SqlLedger(url).close()
        schema.upgrade(url)
        with reading(migrated) as connection:
            assert schema.VERSION_TABLE in inspect(connection).get_table_names()
            assert not inspect(connection).has_table("alembic_version")
        assert schema.check(url) == []

    def test_take_over_a_ledger_of_the_first_schema(self, empty_url: str) -> None:
        if empty_url.startswith("sqlite"):
            Path(str(parse_url(empty_url).database)).parent.mkdir()
        engine = make_engine(parse_url(empty_url), foreign_keys=False)
        with writing(engine) as connection:
            command.upgrade(schema.alembic_config(connection), "0001")
            connection.exec_driver_sql(f"ALTER TABLE {schema.VERSION_TABLE} RENAME TO alembic_version")
        engine.dispose()
        assert schema.revision_at(empty_url) == "0001"
        schema.upgrade(empty_url)
        assert schema.check(empty_url) == []

    @pytest.mark.slow
    def test_leave_the_tables_of_another_program_alone(self, empty_url: str) -> None:
        engine = make_engine(parse_url(empty_url))
        if engine.dialect.name == "sqlite":
            Path(str(engine.url.database)).parent.mkdir()
        with writing(engine) as connection:
            connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32))")
            connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('9999')")
            connection.exec_driver_sql("CREATE TABLE items (x INTEGER)")
        with pytest.raises(SchemaError, match=r"tables of another program .*: items\. .*\?schema=kbsync"):
            schema.upgrade(empty_url)
        raw.run(empty_url, "DROP TABLE items")
        assert schema.revision_at(empty_url) is None
        schema.upgrade(empty_url)
        assert schema.check(empty_url) == []
        with writing(engine) as connection:
            command.check(schema.alembic_config(connection))
            assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "9999"
        engine.dispose()

    def test_make_a_ledger_in_a_schema_of_its_own(self, postgres: Postgres) -> None:
        plain = postgres.database()
        urls = [plain, *(f"{plain}&schema={name}" for name in ("kbsync", "a%20%22b%22"))]
        for number, url in enumerate(urls):
            schema.upgrade(url)
            with SqlLedger(url).write() as tx:
                for _ in range(number):
                    tx.append_audit("pull", "test", {}, NOW)
        for number, url in enumerate(urls):
            assert schema.check(url) == []
            with SqlLedger(url).read() as tx:
                assert len(tx.audit()) == number
        with SqlLedger(urls[1]).write(), SqlLedger(urls[2], patience=timedelta(milliseconds=50)).write() as tx:
            tx.append_audit("pull", "two writers at once, each of its own ledger", {}, NOW)

    def test_refuse_a_database_that_can_not_hold_every_name(self, postgres: Postgres) -> None:
        url = make_url(postgres.database())
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
        engine.dispose()
        narrow = url.set(database="latin").render_as_string(hide_password=False)
        with pytest.raises(SchemaError, match=r"is in the encoding LATIN1") as caught:
            schema.upgrade(narrow)
        assert "ENCODING 'UTF8'" in caught.value.next_step
        postgres.drop(narrow)

    def test_speak_unicode_whatever_the_environment_says(
        self, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
        url = postgres.database()
        schema.upgrade(url)
        engine = make_engine(parse_url(url))
        with writing(engine) as connection:
            query = (
                "INSERT INTO watermarks (source, at) VALUES ('東京', '2026-01-01T00:00:00.000000Z') RETURNING source"
            )
            assert connection.scalar(text(query)) == "東京"
        engine.dispose()
        postgres.drop(url)

    @pytest.mark.slow
    def test_go_down_and_up_again(self, migrated: Engine) -> None:
        with writing(migrated) as connection:
            command.downgrade(schema.alembic_config(connection), "base")
            assert set(inspect(connection).get_table_names()) == {schema.VERSION_TABLE}
        with pytest.raises(SchemaError, match="There is no ledger"):
            SqlLedger(url_of(migrated))
        schema.upgrade(url_of(migrated))
        assert schema.check(url_of(migrated)) == []

    @pytest.mark.slow
    def test_that_fail_halfway_leave_nothing_behind(self, empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(_connection: object) -> None:
            raise RuntimeError("out of luck")

        with monkeypatch.context() as patch:
            patch.setattr(triggers, "install", fail)
            with pytest.raises(RuntimeError):
                schema.upgrade(empty_url)
        engine = make_engine(parse_url(empty_url))
        with reading(engine) as connection:
            assert inspect(connection).get_table_names() == []
        engine.dispose()
        schema.upgrade(empty_url)
        assert schema.check(empty_url) == []

    @pytest.mark.slow
    def test_bring_back_the_triggers_that_a_rebuilt_table_lost(self, migrated: Engine) -> None:
        if migrated.dialect.name == "postgresql":
            pytest.skip("PostgreSQL changes tables in place")
        with writing(migrated) as connection:
            operations = Operations(MigrationContext.configure(connection))
            with operations.batch_alter_table("audit_events", recreate="always") as batch:
                batch.add_column(Column("note", Text))
        url = url_of(migrated)
        assert [p for p in schema.check(url) if "audit_events_no_update is missing" in p]
        schema.upgrade(url)
        assert schema.check(url) == ["audit_events: the column note is not kbsync's"]

    @pytest.mark.slow
    def test_that_break_references_are_undone(self, migrated: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        if migrated.dialect.name == "postgresql":
            pytest.skip("PostgreSQL checks references during migrations too")
        url = url_of(migrated)
        ledger = SqlLedger(url)
        with ledger.write() as tx:
            tx.record_items([record(statement(1))], [HEAD_OF_STATE], NOW)
        ledger.close()
        monkeypatch.setattr(triggers, "install", lambda connection: connection.exec_driver_sql("DELETE FROM items"))
        with pytest.raises(StoreError, match="1 rows of statements refer to rows of items that are gone"):
            schema.upgrade(url)
        assert schema.check(url) == []


def _described(engine: Engine) -> dict[str, object]:
    inspector = inspect(engine)
    described: dict[str, object] = {}
    for table in set(inspector.get_table_names()) - {schema.VERSION_TABLE}:
        columns = [{k: str(v) for k, v in column.items()} for column in inspector.get_columns(table)]
        described[table] = (
            sorted(columns, key=lambda c: c["name"]),
            inspector.get_pk_constraint(table),
            _sorted(inspector.get_check_constraints(table)),
            _sorted(inspector.get_unique_constraints(table)),
            _sorted(inspector.get_foreign_keys(table)),
            [_compared(index) for index in _sorted(list(inspector.get_indexes(table)))],
            inspector.get_table_options(table),
        )
    return described


def _compared(index: dict[str, Any]) -> dict[str, Any]:
    """With the conditions of a partial index as text: two clauses are never equal."""
    return index | {"dialect_options": {k: str(v) for k, v in index.get("dialect_options", {}).items()}}


def _sorted(constraints: list[Any]) -> list[Any]:
    return sorted(constraints, key=lambda c: c["name"])


class TestOpening:
    def test_where_no_ledger_is_makes_none(self, empty_url: str) -> None:
        with pytest.raises(SchemaError, match=r"There is no ledger at .* Make one: `kbsync db upgrade`"):
            SqlLedger(empty_url)
        if empty_url.startswith("sqlite"):
            assert not Path(empty_url.removeprefix("sqlite:///")).exists()
        assert "There is no ledger" in schema.check(empty_url)[0]

    def test_an_older_schema_says_upgrade_the_ledger(self, migrated: Engine) -> None:
        raw.run(url_of(migrated), "UPDATE kbsync_version SET version_num = '0000'")
        with pytest.raises(SchemaError, match="Run `kbsync db upgrade`"):
            SqlLedger(url_of(migrated))
        assert "has schema 0000" in schema.check(url_of(migrated))[0]

    def test_a_newer_schema_says_upgrade_kbsync(self, migrated: Engine) -> None:
        raw.run(url_of(migrated), "UPDATE kbsync_version SET version_num = '9999'")
        for attempt in (SqlLedger, schema.upgrade):
            with pytest.raises(SchemaError, match=r"a newer kbsync made.*Upgrade kbsync"):
                attempt(url_of(migrated))

    @pytest.mark.parametrize(
        ("url", "mistake"),
        [
            ("sqlite://", "in memory"),
            ("sqlite:///:memory:", "in memory"),
            ("mysql://alice:s3cret@host/kb", "can't live in 'mysql'"),
            ("alice:s3cret@host", "can't be read"),
            ("postgresql://alice:s3cret@host:port/kb", "can't be read"),
        ],
    )
    def test_a_url_without_sense_is_a_mistake_in_the_configuration(self, url: str, mistake: str) -> None:
        with pytest.raises(ConfigError, match=mistake) as caught:
            SqlLedger(url)
        assert "s3cret" not in "".join(traceback.format_exception(caught.value))

    @pytest.mark.parametrize(
        "url",
        [
            "postgresql://alice:s3cret@127.0.0.1:1/kb",
            "postgresql://alice@127.0.0.1:1/kb?password=s3cret",
            "postgresql+psycopg://alice:s3cret@127.0.0.1:1/kb?sslmode=nonsense",
        ],
    )
    @pytest.mark.parametrize("attempt", [SqlLedger, schema.upgrade, schema.check])
    def test_an_unreachable_server_is_named_without_the_password(
        self, url: str, attempt: Callable[[str], object]
    ) -> None:
        with pytest.raises(StoreError, match=r"postgresql://127\.0\.0\.1:1/kb .* Check that the server runs") as e:
            attempt(url)
        assert "s3cret" not in "".join(traceback.format_exception(e.value))

    def test_a_directory_that_cannot_be_made_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(StoreError, match=r"file/state can't be made: Not a directory.*Configure another place"):
            schema.upgrade(sqlite_url(tmp_path / "file" / "state" / "ledger.db"))

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_a_directory_that_cannot_be_written_is_named(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o500)
        with pytest.raises(StoreError, match="Check that its directory exists, and that this user may write"):
            schema.upgrade(sqlite_url(tmp_path / "ledger.db"))

    def test_a_directory_in_the_files_place_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match=r"unable to open database file.*Check that its directory"):
            SqlLedger(sqlite_url(tmp_path))

    def test_a_file_of_another_kind_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "ledger.db").write_text("not a database, but a text that is longer than SQLite's file header" * 20)
        for attempt in (SqlLedger, schema.upgrade, schema.check):
            with pytest.raises(StoreError, match="This is no SQLite file"):
                attempt(sqlite_url(tmp_path / "ledger.db"))

    def test_every_error_says_what_was_kept_and_what_to_do_next(self, tmp_path: Path) -> None:
        with pytest.raises(KbsyncError) as caught:
            SqlLedger(sqlite_url(tmp_path / "ledger.db"))
        assert caught.value.kept
        assert caught.value.next_step

    def test_places_are_short_and_secret_free(self) -> None:
        assert place(parse_url("postgresql://bob:s3cret@db.example/kb?password=x")) == "postgresql://db.example/kb"
        assert place(parse_url("sqlite:////var/lib/kbsync/ledger.db")) == "/var/lib/kbsync/ledger.db"


class TestCheck:
    @pytest.fixture
    def filled(self, migrated: Engine) -> str:
        ledger = SqlLedger(url_of(migrated))
        with ledger.write() as tx:
            tx.record_items([record(statement(1), statement(2))], [HEAD_OF_STATE], NOW)
        ledger.close()
        return url_of(migrated)

    def test_finds_a_statement_that_its_history_does_not_know(self, filled: str) -> None:
        raw.run(filled, "UPDATE statements SET value_text = 'Q666' WHERE id = 'Q145$2'")
        assert schema.check(filled) == ["1 live statements differ from their history, the first is Q145$2"]

    @pytest.mark.slow
    def test_finds_rows_that_refer_to_nothing(self, filled: str) -> None:
        off = [] if filled.startswith("sqlite") else ["SET session_replication_role = replica"]
        raw.run(filled, *off, "DELETE FROM items")
        assert schema.check(filled) == [
            "2 rows of statement_history refer to rows of items that are gone",
            "2 rows of statements refer to rows of items that are gone",
            "items: row Q145 was removed by something other than kbsync",
        ]

    def test_finds_a_missing_trigger(self, filled: str) -> None:
        raw.run(filled, raw.switch_off(filled, "statement_history", "delete"))
        assert schema.check(filled) == ["the trigger statement_history_no_delete is missing or switched off"]

    def test_finds_a_trigger_that_is_switched_off(self, filled: str) -> None:
        if filled.startswith("sqlite"):
            pytest.skip("SQLite's triggers can't be switched off")
        raw.run(filled, "ALTER TABLE audit_events DISABLE TRIGGER audit_events_no_truncate")
        assert schema.check(filled) == ["the trigger audit_events_no_truncate is missing or switched off"]

    @pytest.mark.slow
    def test_finds_damage_in_the_file(self, filled: str) -> None:
        if not filled.startswith("sqlite"):
            pytest.skip("PostgreSQL guards its own pages by checksums")
        raw.run(filled, "PRAGMA wal_checkpoint(TRUNCATE)")
        path = Path(filled.removeprefix("sqlite:///"))
        data = bytearray(path.read_bytes())
        index = data.find(b"Q145$2")
        assert index > 0
        data[index : index + 6] = b"Q145$3"
        path.write_bytes(bytes(data))
        assert schema.check(filled) != []


@pytest.mark.slow
@pytest.mark.parametrize("earlier", EARLIER)
def test_a_filled_ledger_of_an_earlier_schema(empty_url: str, earlier: str) -> None:
    schema.upgrade(empty_url)
    fill(empty_url)
    before = rows(empty_url)
    engine = make_engine(parse_url(empty_url), foreign_keys=False)
    with writing(engine) as connection:
        command.downgrade(schema.alembic_config(connection), earlier)
        assert connection.scalar(text("SELECT version_num FROM kbsync_version")) == earlier
    engine.dispose()
    schema.upgrade(empty_url)
    after = rows(empty_url)
    # An older ledger has no row journal: the upgrade begins one. Before 0007 no names wait or are noted.
    assert before.pop("row_journal") and after.pop("row_journal")
    for table in ("pending_names", "facts", "verdicts") if earlier < "0007" else ():
        known, kept = before.pop(table), after.pop(table)
        assert len(kept) == (0 if table == "pending_names" else len(known))
    assert after == before
    assert schema.check(empty_url) == []
    ledger = SqlLedger(empty_url)
    with ledger.write() as tx:
        assert tx.record_items([record(revision=901, subject="Q501")], [HEAD_OF_STATE], NOW).removed == 1
    ledger.close()
    assert schema.check(empty_url) == []


@pytest.mark.slow
def test_the_answer_of_an_older_verdict_becomes_its_only_reply_and_shaky_facts_are_asked_anew(
    empty_url: str,
) -> None:
    schema.upgrade(empty_url)
    fill(empty_url)
    key = FactKey(ItemId("Q501"), HEAD_OF_STATE)
    shaky = verdict(key, value_hash="s", kind=VerdictKind.SHAKY)
    ledger = SqlLedger(empty_url)
    with ledger.write() as tx:
        assert tx.record_verdicts([shaky], NOW) == 1
    ledger.close()
    engine = make_engine(parse_url(empty_url), foreign_keys=False)
    with writing(engine) as connection:
        command.downgrade(schema.alembic_config(connection), "0005")
        document = {"greedy": " Bonn", "logprob_answer": -1.5, "logprob_former": None, "matched": "Bonn"}
        evidence = json.dumps(document | {"prompt": "It is", "reason": ""})
        change = text("UPDATE verdicts SET evidence = :old WHERE subject = 'Q502' AND value_hash = 'v'")
        connection.execute(change, {"old": evidence})
    engine.dispose()
    schema.upgrade(empty_url)
    ledger = SqlLedger(empty_url)
    with ledger.read() as tx:
        verdicts = tx.verdicts("model")
    ledger.close()
    assert shaky.key not in verdicts
    (known,) = (v for k, v in verdicts.items() if (k.fact.subject, k.value_hash) == ("Q502", "v"))
    reply = Reply(prompt="It is", greedy=" Bonn", kind=known.kind, matched="Bonn")
    assert known.evidence == Evidence(replies=(reply,), logprob_answer=-1.5)
