"""The daemon: one ``sync`` at start and at every tick of the schedule, one at a time.

The schedule lives in memory and the state in the ledger, so a restart loses nothing. The lease keeps a daemon, a cron
job and a person apart; whoever comes second is refused and comes again.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any

from apscheduler.events import EVENT_JOB_MAX_INSTANCES
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from kbsync.bootstrap import App
from kbsync.config import Configuration
from kbsync.domain.errors import ConfigError
from kbsync.service import log
from kbsync.service.activity import RUNNING, Activity
from kbsync.service.cycle import ACTOR, run_cycle
from kbsync.service.log import logger
from kbsync.service.metrics import Recorder
from kbsync.service.notify import notify, reloading, watchdog_seconds
from kbsync.service.schedule import trigger
from kbsync.service.stop import Stop, on_signals

LOOK_SECONDS = 10.0
"""So often the daemon looks after itself and tells systemd, when systemd does not ask for more."""


def serve(configuration: Configuration, reload: Callable[[], Configuration] | None = None) -> None:
    """Run until SIGTERM or SIGINT, then abandon the running stage where that is safe, and return.

    SIGHUP takes the configuration that ``reload`` gives; where that raises ``ConfigError`` the old one stays. Raises at
    once what no later tick can heal: ``SchemaError``, and ``StoreError`` for a ledger that can't be opened.
    """
    Daemon(configuration, reload).run()


class Daemon:
    """One process's life. The scheduler's single thread runs the cycles, the main thread watches and answers signals."""

    def __init__(self, configuration: Configuration, reload: Callable[[], Configuration] | None) -> None:
        self.configuration = configuration
        self.stop = Stop()
        self.recorder = Recorder()
        self._reload, self._hung_up = reload, False
        self._app = App(configuration, actor=ACTOR)
        self.activity = Activity(self._app.clock)
        self._began: float | None = None
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": ThreadPoolExecutor(1)},
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )
        self._job: Any = None

    def run(self) -> None:
        with ExitStack() as stack:
            stack.callback(self._app.close)
            stack.enter_context(on_signals(self.stop, self._hang_up))
            with self._app.ledger.read() as tx:
                tx.audit_head()
            if self.configuration.settings.web.enabled:
                stack.enter_context(self._page())
            stack.enter_context(self._scheduled())
            notify("READY=1", "STATUS=running the first cycle")
            while not self.stop.wait(watchdog_seconds() or LOOK_SECONDS):
                self._look()

    def sync_now(self) -> None:
        """Have the next cycle begin at once; one that runs already goes on."""
        if self.activity.view.state != RUNNING:
            self._job.modify(next_run_time=datetime.now(UTC))

    def trouble(self) -> str:
        """Why this process needs help; empty when it needs none. A stage that makes no progress can't notice its
        deadline."""
        settings, began = self.configuration.settings.schedule, self._began
        limit = (settings.deadline + settings.stop_within).total_seconds()
        if began is not None and time.monotonic() - began > limit:
            return f"The running cycle passed its deadline of {settings.deadline} and does not stop."
        return ""

    @contextmanager
    def _scheduled(self) -> Iterator[None]:
        self._job = self._scheduler.add_job(
            self._tick, trigger(self.configuration.settings.schedule), next_run_time=datetime.now(UTC)
        )
        self._scheduler.add_listener(
            lambda _event: logger().warning("tick skipped", reason="the cycle before it still runs"),
            EVENT_JOB_MAX_INSTANCES,
        )
        self._scheduler.start()
        logger().info("daemon started", schedule=self.configuration.settings.schedule.sync)
        try:
            yield
        finally:
            self._end()

    def _end(self) -> None:
        """Wait for the running stage, but not for ever: every state survives a kill."""
        limit = self.configuration.settings.schedule.stop_within.total_seconds()
        notify("STOPPING=1", "STATUS=stopping", f"EXTEND_TIMEOUT_USEC={int((limit + LOOK_SECONDS) * 1e6)}")
        logger().info("daemon stopping")
        ended = threading.Event()

        def wait() -> None:
            self._scheduler.shutdown(wait=True)
            ended.set()

        threading.Thread(target=wait, daemon=True).start()
        if not ended.wait(limit):
            kept = "What was finished is kept; the lease runs out by itself."
            logger().warning("stage abandoned", reason=f"it did not stop within {limit:g} s", kept=kept)
            # The stage's thread can't be ended from here, and would keep the process alive.
            os._exit(0)
        logger().info("daemon stopped")

    def _tick(self) -> None:
        self._began = time.monotonic()
        ended = run_cycle(self.configuration, self.stop, self.activity, self.recorder)
        seconds, self._began = time.monotonic() - self._began, None
        if self.stop.requested:
            return
        # The job itself tells when it is next: asking the scheduler would wait for a shutdown that waits for the job.
        at = self._job.next_run_time
        when = f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else "never"
        self.activity.scheduled(at)
        logger().info("waiting", last=ended.said, seconds=round(seconds, 3), next=when)
        notify(f"STATUS={ended.said}; next cycle at {when}")

    def _look(self) -> None:
        """Between signals: a new configuration, a sign of life for the watchdog, and what runs."""
        if self._hung_up:
            self._hung_up = False
            self._take_configuration()
        if trouble := self.trouble():
            logger().error("daemon stuck", reason=trouble)
            notify(f"STATUS={trouble}")
            return
        view = self.activity.view
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
        log.set_up(new.settings.log.format, new.settings.log.level)
        self.recorder.reloaded(accepted=True)
        if new.settings.schedule != old.settings.schedule:
            self._scheduler.reschedule_job(self._job.id, trigger=trigger(new.settings.schedule))
            self.activity.scheduled(self._job.next_run_time)
        waiting = [k for k in ("web", "database_url") if getattr(new.settings, k) != getattr(old.settings, k)]
        logger().info("configuration reloaded", schedule=new.settings.schedule.sync, after_restart=waiting)
        notify("READY=1", "STATUS=configuration reloaded")

    @contextmanager
    def _page(self) -> Iterator[str]:
        from kbsync.service.web.server import serving
        from kbsync.service.web.site import Site

        site = Site(
            configuration=lambda: self.configuration,
            ledger=self._app.ledger,
            store=lambda: self._app.store,
            clock=self._app.clock,
            recorder=self.recorder,
            activity=self.activity,
            sync_now=self.sync_now,
            trouble=self.trouble,
        )
        with serving(site, self.configuration.settings.web) as address:
            yield address
