"""The daemon: one ``sync`` at start and at every time of the schedule, and the jobs that the configuration adds.

Jobs that need the model or write versions run one at a time. Pulls have their own thread and their own lease, so that a
long edit does not block them; so does the listener, if an event stream is configured. The schedule is kept in memory
and all state in the ledger, so a restart loses nothing; a file records which runs were missed. Leases keep a daemon, a
cron job and a person from writing at the same time: the second one is refused, and the daemon tries again at its next
time.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

from kbsync.bootstrap import App
from kbsync.config import Configuration
from kbsync.config.schedule import SYNC
from kbsync.daemon.activity import RUNNING, Activity
from kbsync.daemon.jobs import ACTOR, PULL, WORK, Job, jobs
from kbsync.daemon.listening import ListenerThread
from kbsync.daemon.metrics import ProcessMetrics
from kbsync.daemon.model_cache import ModelCache
from kbsync.daemon.run_job import JobResult, run_job
from kbsync.daemon.schedule_state import ScheduleFile
from kbsync.daemon.timetable import Timetable
from kbsync.domain.errors import ConfigError
from kbsync.ports import Clock
from kbsync.system import log
from kbsync.system.log import logger
from kbsync.system.stop_request import StopRequest, on_signals
from kbsync.system.systemd import reloading, sd_notify, watchdog_seconds

WATCH_SECONDS = 10.0
"""Time between two checks of the daemon itself, each reported to systemd, which may ask for more frequent ones."""

Page = Callable[["Daemon"], AbstractContextManager[str]]
"""Serves a daemon's status page inside a block, whose value is the address."""


class Daemon:
    """One daemon process. Two threads run the jobs, one for each lane; the main thread watches them and handles
    signals."""

    def __init__(
        self,
        configuration: Configuration,
        reload: Callable[[], Configuration] | None = None,
        *,
        page: Page | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Prepare the daemon; ``run`` starts it.

        Args:
            configuration: What to do and when.
            reload: Is called at SIGHUP for a new configuration; if it raises ``ConfigError``, the old one stays.
            page: Serves the status page while the daemon runs, if the configuration enables it.
            clock: None: the machine's clock.
        """
        self.configuration = configuration
        self.stop = StopRequest()
        self.metrics = ProcessMetrics()
        self._reload, self._hung_up = reload, False
        self._page = page
        self.app = App(configuration, actor=ACTOR, clock=clock)
        self._caches = {lane: ModelCache(clock) for lane in (WORK, PULL)}
        self.activities = {lane: Activity(self.app.clock) for lane in (WORK, PULL)}
        self._running: dict[str, tuple[float, Job]] = {}
        self._listener = ListenerThread(lambda: self.configuration, self.stop, self.metrics, clock)
        file = ScheduleFile(configuration.settings.state_dir)
        self.timetable = Timetable(self._run_job, file, self.metrics, self.app.clock)

    def run(self) -> None:
        """Run until SIGTERM or SIGINT, then end the running stage at a safe point.

        Raises:
            SchemaError: The ledger's schema is not this program's, which trying again can't change.
            StoreError: The ledger can't be opened.
        """
        with ExitStack() as stack:
            stack.callback(self.app.close)
            stack.enter_context(on_signals(self.stop, self._on_hangup))
            with self.app.ledger.read() as tx:
                tx.audit_head()
            if self._page is not None and self.configuration.settings.web.enabled:
                stack.enter_context(self._page(self))
            stack.enter_context(self._scheduled())
            sd_notify("READY=1", "STATUS=running the first cycle")
            while not self.stop.wait(watchdog_seconds() or WATCH_SECONDS):
                self._watch()

    def sync_now(self) -> None:
        """Start the next cycle at once; does nothing while one is running."""
        view = self.activities[WORK].view
        if (view.state, view.job) != (RUNNING, SYNC):
            self.timetable.start_now(SYNC)

    def trouble(self) -> str:
        """Why this process needs help; empty if it needs none.

        A stage that hangs can't notice that its deadline has passed, so another thread calls this.
        """
        spare = self.configuration.settings.schedule.stop_within.total_seconds()
        for began, job in list(self._running.values()):
            if time.monotonic() - began > job.deadline.total_seconds() + spare:
                kind = "cycle" if job.name == SYNC else f"job {job.name}"
                return f"The running {kind} passed its deadline of {job.deadline} and does not stop."
        return ""

    @contextmanager
    def _scheduled(self) -> Iterator[None]:
        """Run the jobs and the listener inside the block."""
        first = jobs(self.configuration)
        self.timetable.start(first)
        self._listener.start()
        logger().info("daemon started", schedule={job.name: job.when for job in first})
        try:
            yield
        finally:
            self._end()

    def _end(self) -> None:
        """Wait for the running stages for a limited time; after that the process may end, since every state survives a
        kill."""
        limit = self.configuration.settings.schedule.stop_within.total_seconds()
        sd_notify("STOPPING=1", "STATUS=stopping", f"EXTEND_TIMEOUT_USEC={int((limit + WATCH_SECONDS) * 1e6)}")
        logger().info("daemon stopping")
        ended = threading.Event()

        def wait() -> None:
            self.timetable.end()
            self._listener.end()
            ended.set()

        threading.Thread(target=wait, daemon=True).start()
        if not ended.wait(limit):
            kept = "What was finished is kept; the lease runs out by itself."
            logger().warning("stage abandoned", reason=f"it did not stop within {limit:g} s", kept=kept)
            # The stage's thread can't be ended from here, and would keep the process alive.
            os._exit(0)
        for cache in self._caches.values():
            cache.close()
        logger().info("daemon stopped")

    def _run_job(self, job: Job) -> JobResult | None:
        """Run the job in its lane; None if a requested stop ended it early."""
        lane = job.lane
        activity, began = self.activities[lane], time.monotonic()
        self._running[lane] = (began, job)
        try:
            result = run_job(job, self.configuration, self.stop, activity, self.metrics, self._caches[lane])
        finally:
            del self._running[lane]
        if result.outcome == "stopped":
            return None
        name, at = self.timetable.upcoming(lane)
        when = f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else "never"
        activity.scheduled(at, name)
        seconds = round(time.monotonic() - began, 3)
        logger().info("waiting", job=job.name, last=result.message, seconds=seconds, next=when, next_job=name)
        if lane == WORK:
            sd_notify(f"STATUS={job.name}: {result.message}; {name} at {when}")
        return result

    def _watch(self) -> None:
        """Take a new configuration, free an idle model, and report to systemd's watchdog."""
        if self._hung_up:
            self._hung_up = False
            self._take_configuration()
        if self._caches[WORK].close_expired():
            logger().info("model let go", reason="idle for schedule.keep_model")
        if trouble := self.trouble():
            logger().error("daemon stuck", reason=trouble)
            sd_notify(f"STATUS={trouble}")
            return
        view = self.activities[WORK].view
        step = [f"STATUS={view.step}: {view.done} of {view.total}"] if view.step and view.total else []
        sd_notify("WATCHDOG=1", *step)

    def _on_hangup(self) -> None:
        """Note that SIGHUP came; runs inside the signal handler, so it does nothing else."""
        self._hung_up = True
        self.stop.wake()

    def _take_configuration(self) -> None:
        """Load the configuration again. The running cycle keeps the old one; ledger and page keep theirs until a
        restart."""
        if self._reload is None:
            return
        reloading()
        old = self.configuration
        try:
            new = self._reload()
        except ConfigError as error:
            self.metrics.configuration_reloaded(accepted=False)
            kept = "The old configuration stays."
            logger().error("configuration refused", problems=list(error.problems), kept=kept)
            sd_notify("READY=1", "STATUS=new configuration refused, the old one stays")
            return
        self.configuration = new
        self._listener.wake()
        log.set_up(new.settings.log.format, new.settings.log.level)
        self.metrics.configuration_reloaded(accepted=True)
        if new.settings.schedule != old.settings.schedule:
            self.timetable.change(jobs(new))
            for lane, activity in self.activities.items():
                name, at = self.timetable.upcoming(lane)
                activity.scheduled(at, name)
        waiting = [k for k in ("web", "database_url") if getattr(new.settings, k) != getattr(old.settings, k)]
        schedule = {job.name: job.when for job in jobs(new)}
        logger().info("configuration reloaded", schedule=schedule, after_restart=waiting)
        sd_notify("READY=1", "STATUS=configuration reloaded")
