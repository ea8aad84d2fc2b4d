"""Aliases, and who was told of their moves."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Row, select

from kbsync.domain.errors import DataError
from kbsync.ledger import tables as t
from kbsync.ledger.repository.base import Repository
from kbsync.ledger.repository.leases import require_held
from kbsync.ledger.repository.versions import require_version
from kbsync.ports import AliasState, Delivered, LeaseToken, ReleaseReader, ReleaseWriter


class SqlReleaseReader(Repository, ReleaseReader):
    def alias(self, name: str) -> AliasState | None:
        moves = t.alias_moves
        newest = select(moves).where(moves.c.name == name).order_by(moves.c.seq.desc()).limit(1)
        row = self._connection.execute(newest).one_or_none()
        return _alias(row) if row else None

    def alias_moves(self, name: str) -> list[AliasState]:
        moves = t.alias_moves
        rows = self._connection.execute(select(moves).where(moves.c.name == name).order_by(moves.c.seq))
        return [_alias(row) for row in rows]

    def delivery(self, notifier: str) -> Delivered | None:
        row = self._connection.execute(select(t.deliveries).where(t.deliveries.c.hook == notifier)).one_or_none()
        return Delivered(notifier=row.hook, move=row.move, attempts=row.attempts) if row else None


class SqlReleaseWriter(SqlReleaseReader, ReleaseWriter):
    def move_alias(self, name: str, number: int, lease: LeaseToken, at: datetime) -> None:
        require_held(self._connection, lease, at)
        if number and require_version(self._connection, number).version_hash is None:
            raise DataError(f"Version {number} has no stored weights, so {name!r} can't point to it.")
        row = {"name": name, "version": number or None, "token": lease.token, "moved_at": at}
        self._insert(t.alias_moves, [row])

    def set_delivery(self, delivered: Delivered) -> None:
        row = {"hook": delivered.notifier, "move": delivered.move, "attempts": delivered.attempts}
        self._upsert(t.deliveries, [row])


def _alias(row: Row[Any]) -> AliasState:
    return AliasState(name=row.name, number=row.version or 0, token=row.token, moved_at=row.moved_at, seq=row.seq)
