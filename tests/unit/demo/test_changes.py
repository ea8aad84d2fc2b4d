"""The RDF of the snapshot, the server that serves it, and the changes that happen on it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kbsync.demo import rdf
from kbsync.demo.changes import Event, apply_changes, lines_of
from kbsync.demo.snapshot import snapshot_turtle
from kbsync.demo.table import Kind, Table
from kbsync.domain.errors import DataError, SourceError
from kbsync.domain.statement import Rank, item_id
from kbsync.wikidata.local import OxigraphServer
from tests.support.demo_world import ask, statements

Snapshot = dict[str, dict[str, dict[str, str]]]


World = tuple[OxigraphServer, list[Event]]


LATER = datetime(2026, 1, 20, 12, tzinfo=UTC)


def head(server: OxigraphServer, subject: str) -> tuple[int, datetime]:
    [row] = ask(server, f"SELECT ?v ?m WHERE {{ wd:{subject} schema:version ?v ; schema:dateModified ?m }}")
    return int(row["v"]), datetime.fromisoformat(row["m"])


def server_time(server: OxigraphServer) -> datetime:
    [row] = ask(server, "SELECT ?t WHERE { <http://www.wikidata.org> schema:dateModified ?t }")
    return datetime.fromisoformat(row["t"])


class TestServer:
    def test_it_serves_inside_the_block_only(self) -> None:
        server = OxigraphServer()
        with server:
            pid, port = server.pid, server.port
            assert pid is not None
            assert server.load("<http://example.org/a> <http://example.org/b> <http://example.org/c> .") == 1
            assert ask(server, "SELECT ?s WHERE { ?s ?p ?o }") == [{"s": "http://example.org/a"}]
        assert server.pid is None
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        with pytest.raises(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            pass
        with pytest.raises(SourceError, match="does not run"):
            server.update("DELETE WHERE { ?s ?p ?o }")

    def test_it_ends_with_an_error_too(self) -> None:
        server, pid = OxigraphServer(), None
        with pytest.raises(ZeroDivisionError), server:
            pid = server.pid
            _ = 1 / 0
        assert pid is not None
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

    def test_a_location_outlives_it(self, tmp_path: Path) -> None:
        with OxigraphServer(tmp_path / "world") as server:
            server.load("<http://example.org/a> <http://example.org/b> 1 .")
        with OxigraphServer(tmp_path / "world") as server:
            assert server.load("") == 1

    def test_a_server_that_can_not_start_says_why(self, tmp_path: Path) -> None:
        file = tmp_path / "world"
        file.write_text("not a directory")
        server = OxigraphServer(file)
        with pytest.raises(SourceError, match="ended at once"), server:
            pass
        assert server.pid is None

    def test_wrong_sparql_is_refused_with_the_servers_words(self) -> None:
        with OxigraphServer() as server:
            with pytest.raises(SourceError, match="refused /update"):
                server.update("DELETE nonsense")
            with pytest.raises(SourceError, match="refused /store"):
                server.load("nonsense")


@pytest.fixture(scope="module")
def before(table: Table, moment: datetime) -> Iterator[Snapshot]:
    with OxigraphServer() as server:
        server.load(snapshot_turtle(moment))
        assert server_time(server) < moment
        yield {c.subject: statements(server, c.subject, c.property) for c in table.changes}


@pytest.fixture(scope="module")
def world(moment: datetime) -> Iterator[World]:
    with OxigraphServer() as server:
        server.load(snapshot_turtle(moment))
        yield server, apply_changes(server, LATER)


class TestChanges:
    @pytest.mark.slow
    def test_old_values_end_and_new_ones_begin(
        self,
        table: Table,
        before: Snapshot,
        world: World,
    ) -> None:
        server, _ = world
        for change in table.changes:
            if change.kind is not Kind.CHANGE:
                continue
            after = statements(server, change.subject, change.property)
            old, new = after[change.old], after[str(change.new)]
            assert change.end and old["end"] == change.end.iso
            assert change.start and new["start"] == change.start.iso
            assert "end" not in new
            assert old["st"] == before[change.subject][change.old]["st"]
            assert "end" not in before[change.subject][change.old]
            assert str(change.new) not in before[change.subject]
            assert int(new["refs"]) == change.references
            ranks = {value: row["rank"].rpartition("#")[2] for value, row in after.items()}
            if change.rank is Rank.PREFERRED:
                assert (ranks[change.old], ranks[str(change.new)]) == ("NormalRank", "PreferredRank")
            else:
                assert ranks[change.old] == before[change.subject][change.old]["rank"].rpartition("#")[2]
                assert ranks[str(change.new)] == "NormalRank"
            best = "PreferredRank" if "PreferredRank" in ranks.values() else "NormalRank"
            assert {value for value, row in after.items() if row["best"] == "true"} == {
                value for value, rank in ranks.items() if rank == best
            }
            others = before[change.subject].keys() - {change.old}
            assert all(after[value] == before[change.subject][value] for value in others)
            truthy = {
                row["o"] for row in ask(server, f"SELECT ?o WHERE {{ wd:{change.subject} wdt:{change.property} ?o }}")
            }
            assert truthy == {value for value, row in after.items() if row["best"] == "true"}

    def test_the_retracted_statement_is_gone(
        self,
        table: Table,
        before: Snapshot,
        world: World,
    ) -> None:
        server, _ = world
        [change] = [c for c in table.changes if c.kind is Kind.RETRACTION]
        node = before[change.subject][change.old]["st"]
        assert ask(server, f"SELECT ?o WHERE {{ <{rdf.ENTITY}{node}> ?p ?o }}") == []
        left = statements(server, change.subject, change.property)
        assert left.keys() == before[change.subject].keys() - {change.old}

    def test_the_vandalised_statement_keeps_its_id(
        self,
        table: Table,
        before: Snapshot,
        world: World,
    ) -> None:
        server, _ = world
        [change] = [c for c in table.changes if c.kind is Kind.VANDALISM]
        after = statements(server, change.subject, change.property)
        assert after.keys() == {change.new}
        assert after[str(change.new)]["st"] == before[change.subject][change.old]["st"]
        assert ask(server, f"SELECT ?o WHERE {{ wd:{change.subject} wdt:{change.property} ?o }}") == [{"o": change.new}]

    def test_revisions_grow_and_dates_say_when(self, table: Table, world: World) -> None:
        server, _ = world
        touched = {change.subject for change in table.changes}
        untouched = max(head(server, item)[0] for item in list(table.items)[-5:] if item not in touched)
        for change in table.changes:
            revision, modified = head(server, change.subject)
            assert revision > untouched
            age = LATER - modified
            assert age == (timedelta(minutes=2) if change.kind is Kind.VANDALISM else timedelta(days=4))
        assert server_time(server) == LATER

    def test_events_tell_what_happened(self, table: Table, world: World) -> None:
        _, events = world
        assert [(e.kind, e.subject, e.property, e.new) for e in events] == [
            (c.kind.value, c.subject, c.property, c.new or "") for c in table.changes
        ]
        for event in events:
            assert table.label(item_id(event.subject)) in event.text
            assert table.label(item_id(event.old)) in event.text
            assert not event.new or table.label(item_id(event.new)) in event.text

    def test_a_change_of_what_does_not_hold_is_refused(self, table: Table) -> None:
        change = table.changes[0]
        with pytest.raises(DataError, match="no live statement"):
            lines_of(change, [row for row in table.group(change.subject, change.property) if row.object != change.old])
