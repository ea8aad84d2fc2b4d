"""What the pages use: the ledger, the newest configuration, the daemon's activity, and two actions."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from kbsync.bootstrap import App
from kbsync.bootstrap.base_model import remembered_frames
from kbsync.config import Configuration
from kbsync.daemon.activity import Activity
from kbsync.daemon.metrics import LedgerCollector, ProcessMetrics
from kbsync.daemon.schedule_state import ScheduleFile
from kbsync.domain.relation import Relation
from kbsync.ports import Clock, Ledger
from kbsync.stages.release.promote import MoveResult
from kbsync.views.status import Snapshot, snapshot

ACTOR = "web"
"""Who acts, for the audit trail."""
FRESH_SECONDS = 2.0
"""How long one reading of the whole ledger is shown to all viewers."""


@dataclass
class Backend:
    """Everything that the pages show or do."""

    configuration: Callable[[], Configuration]
    """Returns the newest configuration."""
    ledger: Ledger
    clock: Clock
    metrics: ProcessMetrics
    activity: Activity | None = None
    """What the daemon of this process does; None if there is no daemon."""
    pulls: Activity | None = None
    """The same for the daemon's pulls."""
    schedule: ScheduleFile | None = None
    """What the daemon's schedule did and missed."""
    sync_now: Callable[[], None] | None = None
    """Starts the daemon's next cycle; None if there is no daemon in this process."""
    trouble: Callable[[], str] = lambda: ""
    """Says why the process is not ready; empty if it is ready."""
    application: Callable[..., App] = App
    """Makes the application that acts for the page; tests give another one."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _newest: tuple[float, Snapshot] | None = None
    """The newest snapshot, with the time of the monotonic clock at which it was made."""

    def __post_init__(self) -> None:
        self.metrics.registry.register(LedgerCollector(self.snapshot))

    @property
    def relations(self) -> Sequence[Relation]:
        """The relations that are watched now, with the frames in which the base was asked last."""
        now = self.configuration()
        frames = remembered_frames(now.settings.model, now.settings.state_dir / "models")
        return [relation.framed(frames) for relation in now.relations]

    def snapshot(self) -> Snapshot:
        """Where everything stands, at most two seconds old."""
        with self._lock:
            if self._newest is None or time.monotonic() - self._newest[0] > FRESH_SECONDS:
                with self.ledger.read() as tx:
                    self._newest = time.monotonic(), snapshot(tx, self.relations, self.clock.now())
            return self._newest[1]

    def rollback(self, to: int) -> MoveResult:
        """Do what ``kbsync rollback --to`` does, with the newest configuration: move the path of the current version,
        anchor the audit trail, and tell the notifiers.

        Raises:
            Busy: A cycle is running.
            NotFound: There is no such version.
        """
        app = self.application(self.configuration(), actor=ACTOR, clock=self.clock)
        try:
            with app.writer() as held:
                return app.stages.rollback(held, to)
        finally:
            app.close()
            with self._lock:
                self._newest = None
