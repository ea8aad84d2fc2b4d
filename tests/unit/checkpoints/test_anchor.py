"""The anchor of the audit trail: it is replaced as a whole, and anything else in its place is told."""
# ruff: noqa: F811 (pytest hands imported fixtures to arguments of the same name)

from __future__ import annotations

from pathlib import Path

import pytest

from kbsync.checkpoints.anchor import (
    NAME,
    Anchor,
    accept_trail,
    advance_anchor,
    begin_anchor,
    clean_temporary,
    misfit,
    read_anchor,
    write_anchor,
)
from kbsync.domain.audit import GENESIS
from kbsync.domain.errors import StoreError
from kbsync.ledger.ledger import SqlLedger
from kbsync.testing.samples import NOW
from tests.support.file_faults import killed
from tests.support.stage_fixtures import ledger  # noqa: F401

FIRST, SECOND = Anchor(seq=1, hash="a" * 64), Anchor(seq=20, hash="b" * 64)


def test_the_newest_anchor_comes_back(tmp_path: Path) -> None:
    root = tmp_path / "state"
    assert read_anchor(root) is None
    for anchor in (FIRST, SECOND):
        write_anchor(root, anchor)
        assert read_anchor(root) == anchor
    assert [path.name for path in root.iterdir()] == [NAME]


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"hash":"a","seq":"x"}', b'{"hash":"aaaa","seq":1}'])
def test_what_kbsync_did_not_write_is_told(tmp_path: Path, data: bytes) -> None:
    (tmp_path / NAME).write_bytes(data)
    with pytest.raises(StoreError, match="is not what kbsync wrote"):
        read_anchor(tmp_path)
    assert (tmp_path / NAME).read_bytes() == data


@pytest.mark.parametrize("step", ["write", "fsync", "rename"])
def test_a_kill_leaves_the_old_anchor_and_a_leftover_that_is_cleaned(tmp_path: Path, step: str) -> None:
    write_anchor(tmp_path, FIRST)
    assert killed(step, lambda: write_anchor(tmp_path, SECOND))
    assert read_anchor(tmp_path) == FIRST
    assert len(list(tmp_path.iterdir())) == 2
    clean_temporary(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def advanced(root: Path, ledger: SqlLedger) -> Anchor | None:
    with ledger.read() as tx:
        advance_anchor(root, tx)
    return read_anchor(root)


def record(ledger: SqlLedger) -> Anchor:
    with ledger.write() as tx:
        event = tx.append_audit("pull", "test", {}, NOW)
    return Anchor(seq=event.seq, hash=event.hash, rows=GENESIS)


def test_the_anchor_follows_the_trail(tmp_path: Path, ledger: SqlLedger) -> None:
    assert advanced(tmp_path, ledger) is None, "there is no event yet"
    with ledger.read() as tx:
        begin_anchor(tmp_path, tx)
    assert read_anchor(tmp_path) == Anchor(seq=0, hash=GENESIS)
    newest = record(ledger)
    assert advanced(tmp_path, ledger) == newest
    newest = record(ledger)
    assert advanced(tmp_path, ledger) == newest


def test_an_anchor_that_is_missing_beside_a_trail_is_not_made_up(tmp_path: Path, ledger: SqlLedger) -> None:
    newest = record(ledger)
    with ledger.read() as tx:
        begin_anchor(tmp_path, tx)
        assert "is missing" in str(misfit(tmp_path, tx))
    assert advanced(tmp_path, ledger) is None
    with ledger.read() as tx:
        assert accept_trail(tmp_path, tx) == newest
        assert misfit(tmp_path, tx) is None


def test_an_anchor_that_does_not_fit_the_trail_stays_as_evidence(tmp_path: Path, ledger: SqlLedger) -> None:
    record(ledger)
    write_anchor(tmp_path, FIRST)
    assert advanced(tmp_path, ledger) == FIRST
    (tmp_path / NAME).write_bytes(b"changed")
    with ledger.read() as tx:
        advance_anchor(tmp_path, tx)
    assert (tmp_path / NAME).read_bytes() == b"changed"
