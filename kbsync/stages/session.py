"""What every stage is given: the ledger, the time, the progress display, and who asks."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

from kbsync.domain.errors import Busy
from kbsync.ports import Clock, LeaseToken, Ledger, Progress
from kbsync.system.process_identity import is_gone, this_process

WRITER = "writer"
"""The lease of whoever changes verdicts, plans, versions and aliases."""
PULLER = "puller"
"""The lease of whoever brings statements in: a lease of its own, so that a long edit does not block pulls."""
NOTIFIER = "notifier"
"""The lease of whoever tells notifiers what became current, so that none is told by two at once."""
PATIENCE = timedelta(minutes=10)
"""So long a cycle waits for a pull that somebody else has begun."""
_LOOK_SECONDS = 0.25


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
        self._run, self.lease, self.ttl = run, lease, ttl

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
        if self.lease.expires - now > self.ttl / 2:
            return
        with self._run.ledger.write() as tx:
            self.lease = tx.renew_lease(self.lease, self.ttl, now)


@dataclass(frozen=True, slots=True)
class Writer:
    """A run that holds the writer's lease."""

    run: Run
    _heartbeat: _Heartbeat

    def pulling(self, patience: timedelta = PATIENCE) -> AbstractContextManager[Run]:
        """As ``puller``, with this lease kept alive, too."""
        return puller(self.run, self._heartbeat.ttl, patience)

    @property
    def lease(self) -> LeaseToken:
        """The newest renewal; its token is checked in the transaction that moves an alias."""
        return self._heartbeat.lease


@contextmanager
def writer(run: Run, ttl: timedelta) -> Iterator[Writer]:
    """Hold the writer's lease for the block. Raises ``Busy`` when another process holds it; a lease whose process is
    provably dead is taken over at once, which the audit trail keeps."""
    with _holding(run, WRITER, ttl) as heartbeat:
        yield Writer(replace(run, progress=heartbeat), heartbeat)


@contextmanager
def puller(run: Run, ttl: timedelta, patience: timedelta = timedelta(0)) -> Iterator[Run]:
    """Hold the puller's lease for the block, whose value is the run to pull with.

    Raises ``Busy`` when somebody else still pulls after ``patience``.
    """
    with _holding(run, PULLER, ttl, patience) as heartbeat:
        yield replace(run, progress=heartbeat)


@contextmanager
def notifying(run: Run, ttl: timedelta, patience: timedelta = timedelta(0)) -> Iterator[Run]:
    """Hold the notifying lease for the block, as ``puller``."""
    with _holding(run, NOTIFIER, ttl, patience) as heartbeat:
        yield replace(run, progress=heartbeat)


@contextmanager
def _holding(run: Run, name: str, ttl: timedelta, patience: timedelta = timedelta(0)) -> Iterator[_Heartbeat]:
    heartbeat = _Heartbeat(run, _acquire(run, name, ttl, patience), ttl)
    try:
        yield heartbeat
    finally:
        with run.ledger.write() as tx:
            tx.release_lease(heartbeat.lease)


def _acquire(run: Run, name: str, ttl: timedelta, patience: timedelta) -> LeaseToken:
    holder = f"{run.actor} on {socket.gethostname()} pid {os.getpid()}"
    end = time.monotonic() + patience.total_seconds()
    while True:
        try:
            with run.ledger.write() as tx:
                now = run.clock.now()
                lease = tx.acquire_lease(name, holder, ttl, now, process=this_process(), is_gone=is_gone)
                if lease.taken_from:
                    body = {"lease": name, "from": lease.taken_from, "token": lease.token}
                    tx.append_audit("takeover", run.actor, body, now)
                return lease
        except Busy:
            if time.monotonic() >= end:
                raise
        run.progress.advance(0)
        time.sleep(_LOOK_SECONDS)
