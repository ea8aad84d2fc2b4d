"""The lease of the one process that may write, with its fencing token."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import datetime, timedelta

from kbsync.ports.ledger.records import HeldLease, LeaseToken


class LeaseReader(ABC):
    """Reads who holds a lease."""

    @abstractmethod
    def held_lease(self, name: str) -> HeldLease | None:
        """The lease with its last holder, even if it has expired since; None where nobody holds it."""


class LeaseWriter(LeaseReader):
    """Acquires, renews and releases leases."""

    @abstractmethod
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
        """Give ``holder`` the lease, with the next token.

        It is given where it is free or expired, where ``is_gone`` says of its holder's process that it has ended, or
        where it is void: valid for more than an hour longer than ``ttl``, as only a wrong clock makes it.
        A holder that asks again is refused too, since it may be another process of that name.

        Args:
            name: The lease's name.
            holder: Who wants it, in words that ``Busy`` shows to others.
            ttl: How long it is valid from ``now`` on.
            process: Identity of the holder's process, for others' ``is_gone``.
            is_gone: Whether the process of this identity has ended.

        Raises:
            Busy: Another holder has it; the message names the holder.
        """

    @abstractmethod
    def renew_lease(self, lease: LeaseToken, ttl: timedelta, now: datetime) -> LeaseToken:
        """Extend the lease to ``ttl`` from ``now``; raises ``LeaseLost`` when somebody else holds it or it expired."""

    @abstractmethod
    def release_lease(self, lease: LeaseToken) -> None:
        """Give the lease back; nothing happens when it is lost already."""

    @abstractmethod
    def break_lease(self, name: str) -> HeldLease | None:
        """Take the lease from whoever holds it, which is refused from then on; returns what was held, None: nothing."""
