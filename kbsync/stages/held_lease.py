"""A lease that is held: how it is kept while its holder works, and how it is lost by one that hangs.

The lease is renewed at the checkpoints of the work. A step may have none for longer than the lease is valid, on a busy
machine above all: a model is converted, a large file is read. So a thread of its own renews the lease between
checkpoints, as long as the worker's thread uses the processor. A worker that waits for ever uses none and loses the
lease when it runs out; one that runs in circles loses it ``LONGEST_STEP`` after its last checkpoint.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Protocol

from kbsync.domain.errors import KbsyncError, LeaseLost
from kbsync.ports import Clock, LeaseToken, Ledger
from kbsync.system.effort import effort_of_this_thread

LONGEST_STEP = timedelta(hours=2)
"""How long after a checkpoint a lease is kept for work that reaches no further one."""
_LOOKS = 10
"""How often in the time of a lease the worker is looked at: on a busy machine several looks may come late, or fail."""
_LEAST_SHARE = 1 / 1000
"""The share of the time between two looks for which work must have had the processor. Waiting in a loop takes less."""


class _Holder(Protocol):
    """What the lease is held for."""

    @property
    def ledger(self) -> Ledger: ...

    @property
    def clock(self) -> Clock: ...


class HeldLease:
    """A lease in the hands of the thread that acquired it."""

    def __init__(self, run: _Holder, lease: LeaseToken, ttl: timedelta) -> None:
        self._run, self.lease, self.ttl = run, lease, ttl
        self._lock = threading.Lock()
        self._lost: LeaseLost | None = None
        self._effort = effort_of_this_thread()
        self._checked = time.monotonic()

    def check(self) -> None:
        """Note a checkpoint, and renew the lease once half of its time is over; raises ``LeaseLost`` when another
        process holds it, or it ran out."""
        self._checked = time.monotonic()
        self._renew()

    def _renew(self) -> None:
        with self._lock:
            if self._lost:
                raise self._lost
            now = self._run.clock.now()
            if self.lease.expires - now > self.ttl / 2:
                return
            try:
                with self._run.ledger.write() as tx:
                    self.lease = tx.renew_lease(self.lease, self.ttl, now)
            except LeaseLost as error:
                self._lost = error
                raise

    @contextmanager
    def kept_alive(self) -> Iterator[None]:
        """Renew the lease in a thread of its own during the block, as long as the thread that acquired it works."""
        done = threading.Event()
        keeper = threading.Thread(target=self._keep, args=(done,), name=f"{self.lease.name}-lease", daemon=True)
        keeper.start()
        try:
            yield
        finally:
            done.set()
            keeper.join()

    def _keep(self, done: threading.Event) -> None:
        interval = self.ttl.total_seconds() / _LOOKS
        effort, looked = self._effort(), time.monotonic()
        while not done.wait(interval):
            worked, passed = self._effort() - effort, time.monotonic() - looked
            effort, looked = effort + worked, looked + passed
            if worked < passed * _LEAST_SHARE or looked - self._checked > LONGEST_STEP.total_seconds():
                continue
            try:
                self._renew()
            except LeaseLost:
                return  # the next checkpoint says so
            except KbsyncError:
                continue  # the ledger is busy, or away for a moment: there are more looks before the lease runs out
