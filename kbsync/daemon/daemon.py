"""The daemon: one ``sync`` at start and at every tick of the schedule, and the jobs that the configuration adds.

What needs the model or writes versions is done one at a time; pulls have a thread and a lease of their own, so that a
long edit does not block them, and so has the listener where an event stream is configured. The schedule lives in memory
and the state in the ledger, so a restart loses nothing; the register tells which times were missed. The leases keep a
daemon, a cron job and a person apart; whoever comes second is refused and comes again.
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
from kbsync.daemon.jobs import PULL, WORK, Job, jobs
from kbsync.daemon.listening import Listening
from kbsync.daemon.metrics import Recorder
from kbsync.daemon.run_job import ACTOR, Ended, run_job, workshop
from kbsync.daemon.schedule_state import ScheduleFile
from kbsync.daemon.timetable import Timetable
from kbsync.domain.errors import ConfigError
from kbsync.ports import Clock
from kbsync.system import log
from kbsync.system.log import logger
from kbsync.system.stop_request import StopRequest, on_signals
from kbsync.system.systemd import notify, reloading, watchdog_seconds

LOOK_SECONDS = 10.0
"""So often the daemon looks after itself and tells systemd, when systemd does not ask for more."""

Page = Callable[["Daemon"], AbstractContextManager[str]]
"""Serves a daemon's status page inside a block, whose value is the address."""


def serve(
    configuration: Configuration,
    reload: Callable[[], Configuration] | None = None,
    *,
    page: Page | None = None,
    clock: Clock | None = None,
) -> None:
    """Run until SIGTERM or SIGINT, then abandon the running stage where that is safe, and return.

    SIGHUP takes the configuration that ``reload`` gives; where that raises ``ConfigError`` the old one stays. Raises at
    once what no later tick can heal: ``SchemaError``, and ``StoreError`` for a ledger that can't be opened. ``page``
    serves the status page while the daemon runs, where the configuration enables it. ``clock`` is the machine's where it is not given.
    """
    Daemon(configuration, reload, page=page, clock=clock).run()


class Daemon:
    """One process's life. Two threads do the jobs, one lane each; the main thread watches and answers signals."""

    def __init__(
        self,
        configuration: Configuration,
        reload: Callable[[], Configuration] | None,
        *,
        page: Page | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.configuration = configuration
        self.stop = StopRequest()
        self.recorder = Recorder()
        self._reload, self._hung_up = reload, False
        self._page = page
        self.app = App(configuration, actor=ACTOR, clock=clock)
        self._apps = {lane: workshop(clock) for lane in (WORK, PULL)}
        self.activities = {lane: Activity(self.app.clock) for lane in (WORK, PULL)}
        self._began: dict[str, tuple[float, Job]] = {}
        self._listening = Listening(lambda: self.configuration, self.stop, self.recorder, clock)
        file = ScheduleFile(configuration.settings.state_dir)
        self.timetable = Timetable(self._do, file, self.recorder, self.app.clock)

    def run(self) -> None:
        with ExitStack() as stack:
            stack.callback(self.app.close)
            stack.enter_context(on_signals(self.stop, self._hang_up))
            with self.app.ledger.read() as tx:
                tx.audit_head()
            if self._page is not None and self.configuration.settings.web.enabled:
                stack.enter_context(self._page(self))
            stack.enter_context(self._scheduled())
            notify("READY=1", "STATUS=running the first cycle")
            while not self.stop.wait(watchdog_seconds() or LOOK_SECONDS):
                self._look()

    def sync_now(self) -> None:
        """Have the next cycle begin at once; one that runs already goes on."""
        view = self.activities[WORK].view
        if (view.state, view.job) != (RUNNING, SYNC):
            self.timetable.start_now(SYNC)

    def trouble(self) -> str:
        """Why this process needs help; empty when it needs none. A stage that makes no progress can't notice its
        deadline."""
        spare = self.configuration.settings.schedule.stop_within.total_seconds()
        for began, job in list(self._began.values()):
            if time.monotonic() - began > job.deadline.total_seconds() + spare:
                what = "cycle" if job.name == SYNC else f"job {job.name}"
                return f"The running {what} passed its deadline of {job.deadline} and does not stop."
        return ""

    @contextmanager
    def _scheduled(self) -> Iterator[None]:
        known = jobs(self.configuration)
        self.timetable.start(known)
        self._listening.start()
        logger().info("daemon started", schedule={job.name: job.when for job in known})
        try:
            yield
        finally:
            self._end()

    def _end(self) -> None:
        """Wait for the running stages, but not for ever: every state survives a kill."""
        limit = self.configuration.settings.schedule.stop_within.total_seconds()
        notify("STOPPING=1", "STATUS=stopping", f"EXTEND_TIMEOUT_USEC={int((limit + LOOK_SECONDS) * 1e6)}")
        logger().info("daemon stopping")
        ended = threading.Event()

        def wait() -> None:
            self.timetable.end()
            self._listening.end()
            ended.set()

        threading.Thread(target=wait, daemon=True).start()
        if not ended.wait(limit):
            kept = "What was finished is kept; the lease runs out by itself."
            logger().warning("stage abandoned", reason=f"it did not stop within {limit:g} s", kept=kept)
            # The stage's thread can't be ended from here, and would keep the process alive.
            os._exit(0)
        for apps in self._apps.values():
            apps.drop()
        logger().info("daemon stopped")

    def _do(self, job: Job) -> Ended | None:
        """One run in the job's lane; None where a stop kept it from beginning or ending."""
        lane = job.lane
        activity, began = self.activities[lane], time.monotonic()
        self._began[lane] = (began, job)
        try:
            ended = run_job(job, self.configuration, self.stop, activity, self.recorder, self._apps[lane])
        finally:
            del self._began[lane]
        if ended.outcome == "stopped":
            return None
        name, at = self.timetable.upcoming(lane)
        when = f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else "never"
        activity.scheduled(at, name)
        seconds = round(time.monotonic() - began, 3)
        logger().info("waiting", job=job.name, last=ended.said, seconds=seconds, next=when, next_job=name)
        if lane == WORK:
            notify(f"STATUS={job.name}: {ended.said}; {name} at {when}")
        return ended

    def _look(self) -> None:
        """Between signals: a new configuration, a model that idles, a sign of life for the watchdog, and what runs."""
        if self._hung_up:
            self._hung_up = False
            self._take_configuration()
        if self._apps[WORK].look():
            logger().info("model let go", reason="idle for schedule.keep_model")
        if trouble := self.trouble():
            logger().error("daemon stuck", reason=trouble)
            notify(f"STATUS={trouble}")
            return
        view = self.activities[WORK].view
        step = [f"STATUS={view.step}: {view.done} of {view.total}"] if view.step and view.total else []
        notify("WATCHDOG=1", *step)

    def _hang_up(self) -> None:
        self._hung_up = True
        self.stop.wake()

    def _take_configuration(self) -> None:
        """The running cycle keeps what it began with; the ledger and the page stay where they are until a restart."""
        if self._reload is None:
            return
        reloading()
        old = self.configuration
        try:
            new = self._reload()
        except ConfigError as error:
            self.recorder.reloaded(accepted=False)
            kept = "The configuration of before stays."
            logger().error("configuration refused", problems=list(error.problems), kept=kept)
            notify("READY=1", "STATUS=new configuration refused, the old one stays")
            return
        self.configuration = new
        self._listening.look()
        log.set_up(new.settings.log.format, new.settings.log.level)
        self.recorder.reloaded(accepted=True)
        if new.settings.schedule != old.settings.schedule:
            self.timetable.change(jobs(new))
            for lane, activity in self.activities.items():
                name, at = self.timetable.upcoming(lane)
                activity.scheduled(at, name)
        waiting = [k for k in ("web", "database_url") if getattr(new.settings, k) != getattr(old.settings, k)]
        logger().info(
            "configuration reloaded", schedule={job.name: job.when for job in jobs(new)}, after_restart=waiting
        )
        notify("READY=1", "STATUS=configuration reloaded")
