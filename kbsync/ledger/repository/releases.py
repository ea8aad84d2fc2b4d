"""Aliases, and the delivery of their moves to notifiers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Row, select

from kbsync.domain.errors import DataError
from kbsync.ledger import tables
from kbsync.ledger.repository.base import Repository
from kbsync.ledger.repository.leases import require_held
from kbsync.ledger.repository.versions import require_version
from kbsync.ports import AliasState, Delivered, LeaseToken, ReleaseReader, ReleaseWriter


class SqlReleaseReader(Repository, ReleaseReader):
    """Reads aliases and deliveries."""

    def alias(self, name: str) -> AliasState | None:
        """The newest position of the alias; None where it was never moved."""
        moves = tables.alias_moves
        newest = select(moves).where(moves.c.name == name).order_by(moves.c.seq.desc()).limit(1)
        row = self._connection.execute(newest).one_or_none()
        return _alias(row) if row else None

    def alias_moves(self, name: str) -> list[AliasState]:
        """Every position of the alias, oldest first."""
        moves = tables.alias_moves
        rows = self._connection.execute(select(moves).where(moves.c.name == name).order_by(moves.c.seq))
        return [_alias(row) for row in rows]

    def delivery(self, notifier: str) -> Delivered | None:
        """The last move that the notifier received; None for a notifier that the ledger does not know."""
        row = self._connection.execute(
            select(tables.deliveries).where(tables.deliveries.c.hook == notifier)
        ).one_or_none()
        return Delivered(notifier=row.hook, move=row.move, attempts=row.attempts) if row else None


class SqlReleaseWriter(SqlReleaseReader, ReleaseWriter):
    """Moves aliases and records deliveries."""

    def move_alias(self, name: str, number: int, lease: LeaseToken, at: datetime) -> None:
        """Insert a move, after checking the lease and the version in the same transaction."""
        require_held(self._connection, lease, at)
        if number and require_version(self._connection, number).version_hash is None:
            raise DataError(f"Version {number} has no stored weights, so {name!r} can't point to it.")
        row = {"name": name, "version": number or None, "token": lease.token, "moved_at": at}
        self._insert(tables.alias_moves, [row])

    def set_delivery(self, delivered: Delivered) -> None:
        """Insert or replace the notifier's row (its column is called ``hook``)."""
        row = {"hook": delivered.notifier, "move": delivered.move, "attempts": delivered.attempts}
        self._upsert(tables.deliveries, [row])


def _alias(row: Row[Any]) -> AliasState:
    return AliasState(name=row.name, number=row.version or 0, token=row.token, moved_at=row.moved_at, seq=row.seq)
