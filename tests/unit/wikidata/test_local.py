"""The local server, for real: it starts, holds what it is given, says what it refuses, and ends with the block."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from kbsync.domain.errors import SourceDown, SourceError
from kbsync.wikidata.client import SparqlClient
from kbsync.wikidata.local import OxigraphServer

AGENT = "kbsync-tests/1 (tests@example.org)"
ONE = '<http://a> <http://b> "eins" .'
TWO = '<http://a> <http://b> "zwei" .'
QUERY = "SELECT ?o { <http://a> <http://b> ?o } ORDER BY ?o"


def objects(server: OxigraphServer) -> list[str]:
    return [row["o"].text for row in SparqlClient(server.endpoint, AGENT).select(QUERY)]


def gone(pid: int) -> bool:
    give_up = time.monotonic() + 10
    while time.monotonic() < give_up:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


def test_it_holds_what_it_is_given_and_ends_with_the_block() -> None:
    with OxigraphServer() as server:
        pid = server.pid
        assert server.load(ONE) == 1
        assert server.load(TWO) == 2
        server.update("DELETE DATA { <http://a> <http://b> 'eins' }")
        assert objects(server) == ["zwei"]
    assert pid is not None and gone(pid)
    assert server.pid is None


@pytest.mark.slow
def test_with_a_location_the_data_outlive_it_and_may_be_read_by_several(tmp_path: Path) -> None:
    store = tmp_path / "store"
    with OxigraphServer(store) as server:
        server.load(ONE)
    with OxigraphServer(store, read_only=True) as one, OxigraphServer(store, read_only=True) as other:
        assert one.port != other.port
        assert objects(one) == objects(other) == ["eins"]
        with pytest.raises(SourceError, match="refused /update"):
            one.update("INSERT DATA { <http://c> <http://d> 'drei' }")


def test_what_it_refuses_is_said_in_its_own_words() -> None:
    with OxigraphServer() as server:
        with pytest.raises(SourceError, match=r"refused /store\?default \(400\): .*"):
            server.load("<http://a> <http://b> .")
        with pytest.raises(SourceError, match="refused /update"):
            server.update("DELETE EVERYTHING")


def test_a_location_that_is_not_there_or_is_none_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="does not exist"), OxigraphServer(tmp_path / "none", read_only=True):
        pass
    (tmp_path / "file").write_text("no directory")
    with pytest.raises(SourceError, match="ended at once"), OxigraphServer(tmp_path / "file"):
        pass


def test_outside_its_block_it_does_not_run() -> None:
    server = OxigraphServer()
    with pytest.raises(SourceError, match="does not run"):
        server.load(ONE)


@pytest.mark.slow
def test_a_server_that_never_answers_is_given_up_and_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    binary = tmp_path / "oxigraph"
    binary.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 60\n")
    binary.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(SourceDown, match=r"within 0\.5 seconds"), OxigraphServer(ready_within=0.5):
        pass
    assert gone(int((tmp_path / "pid").read_text()))


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(SourceError, match="is missing") as caught, OxigraphServer():
        pass
    assert "kbsync[demo]" in caught.value.next_step
