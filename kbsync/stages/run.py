"""What every stage is given: the ledger, the time, the progress display, and who asks."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

from kbsync.ports import Clock, LeaseToken, Ledger, Progress

WRITER = "writer"
"""The one lease: whoever holds it may change versions and aliases."""


class Silent(Progress):
    """Progress that nobody watches."""

    def start(self, stage: str, total: int | None) -> None: ...

    def advance(self, count: int = 1) -> None: ...

    def finish(self, note: str = "") -> None: ...


@dataclass(frozen=True, slots=True)
class Run:
    """``actor`` names who or what asked (``cli:alice``, ``daemon``) and goes into the audit trail."""

    ledger: Ledger
    clock: Clock
    progress: Progress
    actor: str


class _Heartbeat(Progress):
    """Renews the lease while work advances, so that a long edit keeps it and a stalled one loses it."""

    def __init__(self, run: Run, lease: LeaseToken, ttl: timedelta) -> None:
        self._run, self.lease, self._ttl = run, lease, ttl

    def start(self, stage: str, total: int | None) -> None:
        self._run.progress.start(stage, total)
        self._renew()

    def advance(self, count: int = 1) -> None:
        self._run.progress.advance(count)
        self._renew()

    def finish(self, note: str = "") -> None:
        self._run.progress.finish(note)

    def _renew(self) -> None:
        now = self._run.clock.now()
        if self.lease.expires - now > self._ttl / 2:
            return
        with self._run.ledger.write() as tx:
            self.lease = tx.renew_lease(self.lease, self._ttl, now)


@dataclass(frozen=True, slots=True)
class Writer:
    """A run that holds the writer's lease."""

    run: Run
    _heartbeat: _Heartbeat

    @property
    def lease(self) -> LeaseToken:
        """The newest renewal; its token is checked in the transaction that moves an alias."""
        return self._heartbeat.lease


@contextmanager
def writer(run: Run, ttl: timedelta) -> Iterator[Writer]:
    """Hold the writer's lease for the block. Raises ``Busy`` when another process holds it."""
    holder = f"{run.actor} on {socket.gethostname()} pid {os.getpid()}"
    with run.ledger.write() as tx:
        lease = tx.acquire_lease(WRITER, holder, ttl, run.clock.now())
    heartbeat = _Heartbeat(run, lease, ttl)
    try:
        yield Writer(replace(run, progress=heartbeat), heartbeat)
    finally:
        with run.ledger.write() as tx:
            tx.release_lease(heartbeat.lease)
