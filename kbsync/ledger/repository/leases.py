"""The lease of the one process that may write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, func, select

from kbsync.domain.errors import Busy, LeaseLost
from kbsync.ledger import tables
from kbsync.ledger.repository.base import Repository
from kbsync.ports import HeldLease, LeaseReader, LeaseToken, LeaseWriter

MOST_TOKENS = 2**53
"""More tokens than any ledger gives."""
LEEWAY = timedelta(hours=1)
"""How much later than a new one a held lease may expire, since clocks and settings may differ a little."""


class SqlLeaseReader(Repository, LeaseReader):
    """Reads who holds a lease."""

    def held_lease(self, name: str) -> HeldLease | None:
        """The lease with its last holder; None if nobody holds it."""
        row = _stored(self._connection, name)
        if row is None or row.holder is None:
            return None
        return HeldLease(name=row.name, holder=row.holder, expires=row.expires, process=row.process)


class SqlLeaseWriter(SqlLeaseReader, LeaseWriter):
    """Acquires, renews and releases leases."""

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
        """Give the lease to ``holder`` with the next token; raises ``Busy`` if another holder has it."""
        stored, held = _stored(self._connection, name), self.held_lease(name)
        # A lease that expires later than any holder can ask for was made by a wrong clock, so it is void.
        live = held if held and now < held.expires <= now + ttl + LEEWAY else None
        taken_from = held.holder if held and held.expires > now else ""
        if live and not is_gone(live.process):
            raise Busy(str(live), next_step="Wait for it to finish, and run again.")
        token = LeaseToken(
            name=name,
            holder=holder,
            token=self._next_token(stored.token) if stored else 1,
            expires=now + ttl,
            taken_from=taken_from,
        )
        row = {"name": name, "token": token.token, "holder": holder, "expires": token.expires, "process": process}
        self._upsert(tables.leases, [row])
        return token

    def renew_lease(self, lease: LeaseToken, ttl: timedelta, now: datetime) -> LeaseToken:
        """Extend a lease that is still held; raises ``LeaseLost``."""
        require_held(self._connection, lease, now)
        self._update(tables.leases, _is_held_by(lease), expires=now + ttl)
        return replace(lease, expires=now + ttl)

    def release_lease(self, lease: LeaseToken) -> None:
        """Clear the holder; the row stays, so that no token is given twice."""
        self._update(tables.leases, _is_held_by(lease), holder=None, expires=None, process=None)

    def break_lease(self, name: str) -> HeldLease | None:
        """Clear the holder, whoever it is, and increase the token, so that this holder is refused from now on."""
        held, stored = self.held_lease(name), _stored(self._connection, name)
        if held is not None and stored is not None:
            token = self._next_token(stored.token)
            cleared = {"token": token, "holder": None, "expires": None, "process": None}
            self._update(tables.leases, tables.leases.c.name == name, **cleared)
        return held

    def _next_token(self, last: int) -> int:
        """A token that no holder had. One that kbsync can't have counted to follows the largest that moved an alias."""
        if last < MOST_TOKENS:
            return last + 1
        return (self._connection.scalar(select(func.max(tables.alias_moves.c.token))) or 0) + 1


def _is_held_by(lease: LeaseToken) -> ColumnElement[bool]:
    """Whether a row of ``leases`` is still the holder's, under the same token."""
    leases = tables.leases
    return and_(leases.c.name == lease.name, leases.c.token == lease.token, leases.c.holder == lease.holder)


def require_held(connection: Connection, lease: LeaseToken, now: datetime) -> None:
    """Raise ``LeaseLost`` if another holder has the lease, or it has expired.

    The stored expiry counts, because that of ``lease`` may be from an earlier renewal.
    """
    stored = _stored(connection, lease.name)
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


def _stored(connection: Connection, name: str) -> Row[Any] | None:
    return connection.execute(select(tables.leases).where(tables.leases.c.name == name)).one_or_none()
