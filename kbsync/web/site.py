"""What the pages stand on: the ledger, the configuration of the moment, what the process does, and two actions."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from kbsync.config import Configuration
from kbsync.daemon.activity import Activity
from kbsync.daemon.metrics import LedgerCollector, Recorder
from kbsync.daemon.schedule_state import ScheduleFile
from kbsync.domain.relation import Relation
from kbsync.ports import CheckpointStore, Clock, Ledger, Work
from kbsync.stages.release.promote import ReleaseResult, rollback
from kbsync.stages.session import Run, writer
from kbsync.views import status as views
from kbsync.views.status import StatusView, VersionsView

ACTOR = "web"
FRESH_SECONDS = 2.0
"""So long one look at the whole ledger serves all viewers."""


@dataclass
class Site:
    """``configuration`` gives the newest one; ``store`` opens
    the stored versions; ``activity`` is what the daemon of this process does, ``pulls`` the same of its pulls, and
    ``sync_now`` starts its next cycle (None where there is no daemon here); ``schedule`` tells what the schedule missed;
    ``trouble`` says why the process is not ready (empty: it is)."""

    configuration: Callable[[], Configuration]
    ledger: Ledger
    store: Callable[[], CheckpointStore]
    clock: Clock
    recorder: Recorder
    activity: Activity | None = None
    pulls: Activity | None = None
    schedule: ScheduleFile | None = None
    sync_now: Callable[[], None] | None = None
    trouble: Callable[[], str] = lambda: ""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _looked: tuple[float, StatusView, VersionsView] | None = None

    def __post_init__(self) -> None:
        self.recorder.registry.register(LedgerCollector(lambda: self.look()[0], lambda: self.look()[1]))

    @property
    def relations(self) -> Sequence[Relation]:
        return self.configuration().relations

    def look(self) -> tuple[StatusView, VersionsView]:
        """Where everything stands, at most two seconds old."""
        with self._lock:
            if self._looked is None or time.monotonic() - self._looked[0] > FRESH_SECONDS:
                with self.ledger.read() as tx:
                    status = views.status(tx, self.relations, self.clock.now())
                    everything = views.versions(tx)
                self._looked = (time.monotonic(), status, everything)
            return self._looked[1:]

    def rollback(self, to: int) -> ReleaseResult:
        """As ``kbsync rollback --to``; raises ``Busy`` while a cycle runs."""
        run = Run(ledger=self.ledger, clock=self.clock, work=Work(), actor=ACTOR)
        with writer(run, self.configuration().settings.lease.ttl) as held:
            result = rollback(held, self.store(), to)
        with self._lock:
            self._looked = None
        return result
