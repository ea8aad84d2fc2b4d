"""Aliases, and the lease of the process that may move them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, select

from kbsync.domain.errors import Busy, DataError, LeaseLost
from kbsync.ledger import tables as t
from kbsync.ledger.repository.versions import VersionReader
from kbsync.ports import AliasState, LeaseToken


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


class ReleaseWriter(ReleaseReader):
    def move_alias(self, name: str, number: int, lease: LeaseToken, at: datetime) -> None:
        """As the port says. Raises ``NotFound`` for an unknown version, ``DataError`` for one without weights."""
        self._check(lease, at)
        if number and self._require_version(number).version_hash is None:
            raise DataError(f"Version {number} has no stored weights, so {name!r} can't point to it.")
        row = {"name": name, "version": number or None, "token": lease.token, "moved_at": at}
        self._insert(t.alias_moves, [row])

    def acquire_lease(self, name: str, holder: str, ttl: timedelta, now: datetime) -> LeaseToken:
        """As the port says; a holder that asks again is ``Busy`` too, since it may be another process of that name."""
        stored = self._lease(name)
        if stored and stored.holder is not None and stored.expires > now:
            raise Busy(
                f"{stored.holder} holds the lease {name!r} until {stored.expires:%Y-%m-%d %H:%M:%S} UTC.",
                next_step="Wait for it to finish, and run again.",
            )
        token = LeaseToken(name=name, holder=holder, token=stored.token + 1 if stored else 1, expires=now + ttl)
        self._put(token)
        return token

    def renew_lease(self, lease: LeaseToken, ttl: timedelta, now: datetime) -> LeaseToken:
        self._check(lease, now)
        renewed = LeaseToken(name=lease.name, holder=lease.holder, token=lease.token, expires=now + ttl)
        self._put(renewed)
        return renewed

    def release_lease(self, lease: LeaseToken) -> None:
        leases = t.leases
        mine = (leases.c.name == lease.name) & (leases.c.token == lease.token) & (leases.c.holder == lease.holder)
        self._connection.execute(leases.update().where(mine).values(holder=None, expires=None))

    def _lease(self, name: str) -> Row[Any] | None:
        return self._connection.execute(select(t.leases).where(t.leases.c.name == name)).one_or_none()

    def _put(self, lease: LeaseToken) -> None:
        row = {"name": lease.name, "token": lease.token, "holder": lease.holder, "expires": lease.expires}
        self._upsert(t.leases, [row])

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


def _alias(row: Row[Any]) -> AliasState:
    return AliasState(name=row.name, number=row.version or 0, token=row.token, moved_at=row.moved_at)
