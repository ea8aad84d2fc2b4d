"""What every stage is handed: the ledger, the time, the work that it reports to, and who asks; and the leases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

from kbsync.domain.errors import Busy
from kbsync.ports import Clock, LeaseToken, Ledger, Work
from kbsync.stages.held_lease import HeldLease
from kbsync.system.process_identity import is_gone, process_label, this_process

WRITER = "writer"
"""The lease of the process that changes verdicts, plans, versions and aliases."""
PULLER = "puller"
"""The lease of the process that pulls statements: one of its own, so that a long edit does not block pulls."""
NOTIFIER = "notifier"
"""The lease of the process that announces moves of ``current``, so that no notifier is told by two at once."""
PULL_PATIENCE = timedelta(minutes=10)
"""How long a cycle waits for a pull that another process has begun."""
_RETRY_SECONDS = 0.25
"""How often a lease that another process holds is asked for again."""


@dataclass(frozen=True, slots=True)
class Run:
    """What every stage is handed."""

    ledger: Ledger
    clock: Clock
    work: Work
    """Where the stage shows its progress, and learns that it is to stop."""
    actor: str
    """Who or what asked (``cli:alice``, ``daemon``); the audit trail keeps it."""


@dataclass(frozen=True, slots=True)
class Writer:
    """A run that holds the writer's lease."""

    run: Run
    """Its checkpoints renew the lease."""
    _held: HeldLease

    def pulling(self, patience: timedelta = PULL_PATIENCE) -> AbstractContextManager[Run]:
        """Hold the puller's lease for a block, as ``puller`` does, and keep this lease alive as well."""
        return puller(self.run, self._held.ttl, patience)

    @property
    def lease(self) -> LeaseToken:
        """The newest renewal; its token is checked in the transaction that moves an alias."""
        return self._held.lease


@contextmanager
def writer(run: Run, ttl: timedelta) -> Iterator[Writer]:
    """Hold the writer's lease for the block.

    Where the process that holds it has provably ended, the lease is taken over at once, which the audit trail records.

    Args:
        ttl: How long the lease is valid after each renewal.

    Raises:
        Busy: Another process holds the lease.
    """
    with _holding(run, WRITER, ttl) as held:
        yield Writer(_kept_alive(run, held), held)


@contextmanager
def puller(run: Run, ttl: timedelta, patience: timedelta = timedelta(0)) -> Iterator[Run]:
    """Hold the puller's lease for the block, and yield the run to pull with.

    Args:
        ttl: How long the lease is valid after each renewal.
        patience: How long to wait while another process holds it.

    Raises:
        Busy: Another process still holds it after that.
    """
    with _holding(run, PULLER, ttl, patience) as held:
        yield _kept_alive(run, held)


@contextmanager
def notifying(run: Run, ttl: timedelta, patience: timedelta = timedelta(0)) -> Iterator[Run]:
    """Hold the notifying lease for the block, as ``puller`` holds its own."""
    with _holding(run, NOTIFIER, ttl, patience) as held:
        yield _kept_alive(run, held)


@contextmanager
def _holding(run: Run, name: str, ttl: timedelta, patience: timedelta = timedelta(0)) -> Iterator[HeldLease]:
    held = HeldLease(run, _acquire(run, name, ttl, patience), ttl)
    try:
        with held.kept_alive():
            yield held
    finally:
        with run.ledger.write() as tx:
            tx.release_lease(held.lease)


def _kept_alive(run: Run, held: HeldLease) -> Run:
    """The same run, whose checkpoints also renew the lease."""
    return replace(run, work=run.work.checked_by(held.check))


def _acquire(run: Run, name: str, ttl: timedelta, patience: timedelta) -> LeaseToken:
    holder = f"{run.actor} on {process_label()}"
    end = run.clock.monotonic() + patience.total_seconds()
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
            if run.clock.monotonic() >= end:
                raise
        run.work.checkpoint()
        run.clock.sleep(_RETRY_SECONDS)
