"""Aliases, and the lease of the process that may move them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, select

from kbsync.domain.errors import Busy, DataError, LeaseLost
from kbsync.ledger import tables as t
from kbsync.ledger.repository.versions import VersionReader
from kbsync.ports import AliasState, Delivered, LeaseToken


class ReleaseReader(VersionReader):
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


class ReleaseWriter(ReleaseReader):
    def move_alias(self, name: str, number: int, lease: LeaseToken, at: datetime) -> None:
        """As the port says. Raises ``NotFound`` for an unknown version, ``DataError`` for one without weights."""
        self._check(lease, at)
        if number and self._require_version(number).version_hash is None:
            raise DataError(f"Version {number} has no stored weights, so {name!r} can't point to it.")
        row = {"name": name, "version": number or None, "token": lease.token, "moved_at": at}
        self._insert(t.alias_moves, [row])

    def set_delivery(self, delivered: Delivered) -> None:
        row = {"hook": delivered.notifier, "move": delivered.move, "attempts": delivered.attempts}
        self._upsert(t.deliveries, [row])

    def acquire_lease(
        self,
        name: str,
        holder: str,
        ttl: timedelta,
        now: datetime,
        *,
        process: str | None = None,
        is_gone: Callable[[str | None], bool] = lambda _: False,
    ) -> LeaseToken:
        """As the port says; a holder that asks again is ``Busy`` too, since it may be another process of that name."""
        stored = self._lease(name)
        live = stored if stored and stored.holder is not None and stored.expires > now else None
        if live and not is_gone(live.process):
            raise Busy(
                f"{live.holder} holds the lease {name!r} until {live.expires:%Y-%m-%d %H:%M:%S} UTC.",
                next_step="Wait for it to finish, and run again.",
            )
        token = LeaseToken(
            name=name,
            holder=holder,
            token=stored.token + 1 if stored else 1,
            expires=now + ttl,
            taken_from=live.holder if live else "",
        )
        row = {"name": name, "token": token.token, "holder": holder, "expires": token.expires, "process": process}
        self._upsert(t.leases, [row])
        return token

    def renew_lease(self, lease: LeaseToken, ttl: timedelta, now: datetime) -> LeaseToken:
        self._check(lease, now)
        self._connection.execute(t.leases.update().where(_mine(lease)).values(expires=now + ttl))
        return replace(lease, expires=now + ttl)

    def release_lease(self, lease: LeaseToken) -> None:
        self._connection.execute(t.leases.update().where(_mine(lease)).values(holder=None, expires=None, process=None))

    def _lease(self, name: str) -> Row[Any] | None:
        return self._connection.execute(select(t.leases).where(t.leases.c.name == name)).one_or_none()

    def _check(self, lease: LeaseToken, now: datetime) -> None:
        """The stored expiry counts and not the token's, which may be an older renewal."""
        stored = self._lease(lease.name)
        if stored is None or (stored.token, stored.holder) != (lease.token, lease.holder):
            newest = f"token {stored.token}" if stored else "no token"
            what = f"The lease {lease.name!r} with token {lease.token} is lost: {newest} is the newest."
            if stored and stored.holder:
                what += f" {stored.holder} holds it."
            raise LeaseLost(what, next_step="Run again; the work done so far is found again.")
        if stored.expires <= now:
            raise LeaseLost(
                f"The lease {lease.name!r} with token {lease.token} ran out at {stored.expires:%Y-%m-%d %H:%M:%S} UTC.",
                next_step="Run again; the work done so far is found again.",
            )


def _mine(lease: LeaseToken) -> ColumnElement[bool]:
    leases = t.leases
    return and_(leases.c.name == lease.name, leases.c.token == lease.token, leases.c.holder == lease.holder)


def _alias(row: Row[Any]) -> AliasState:
    return AliasState(name=row.name, number=row.version or 0, token=row.token, moved_at=row.moved_at, seq=row.seq)
