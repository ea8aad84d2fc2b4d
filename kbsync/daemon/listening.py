"""A thread that pulls changes as soon as an event stream reports them, if ``source.events`` names a stream."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from functools import partial

from kbsync.bootstrap import App
from kbsync.config import Configuration
from kbsync.daemon.jobs import ACTOR
from kbsync.daemon.metrics import ProcessMetrics
from kbsync.domain.errors import KbsyncError, Stopped
from kbsync.operations.stop import check_stop
from kbsync.ports import Clock, Work
from kbsync.stages.pull.listen import Listener, Notice
from kbsync.system.log import logger
from kbsync.system.stop_request import StopRequest

AGAIN_SECONDS = 60.0
"""Pause after an error that ended the listener, and between two looks at the configuration while it names no stream."""


class ListenerThread:
    """Runs a ``Listener`` from ``start`` until a stop is requested.

    No error of the listener ends the daemon: the scheduled pulls find every change in any case.
    """

    def __init__(
        self,
        configuration: Callable[[], Configuration],
        stop: StopRequest,
        metrics: ProcessMetrics,
        clock: Clock | None,
    ) -> None:
        """Prepare the thread; ``start`` starts it.

        Args:
            configuration: Returns the newest configuration; when it has changed, the listener starts again.
        """
        self._configuration, self._stop = configuration, stop
        self._metrics, self._clock = metrics, clock
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self._run, name="listening", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def wake(self) -> None:
        """End a pause, so that a new configuration or a stop is noticed at once."""
        self._woken.set()

    def end(self) -> None:
        """Wait until the pull that is running has ended; a stop must have been requested."""
        self.wake()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.requested:
            configuration = self._configuration()
            if configuration.settings.source.events:
                self._listen(configuration)
            if configuration is self._configuration():
                self._sleep(AGAIN_SECONDS)

    def _listen(self, configuration: Configuration) -> None:
        """Listen until a stop is requested, the configuration changes, or an error occurs."""
        try:
            work = Work(checks=[partial(check_stop, self._stop), partial(self._check_configuration, configuration)])
            with closing(App(configuration, actor=ACTOR, work=work, clock=self._clock)) as app:
                listener = Listener(
                    app.run, app.source, app.relations, pulling=app.puller, sleep=self._sleep, report=self._log
                )
                listener.listen()
        except Stopped:
            return
        except KbsyncError as error:
            self._metrics.failed(error)
            logger().error("listening failed", error=error.what, kept=error.kept, next_step=error.next_step)
        except Exception as error:
            self._metrics.failed(error)
            logger().exception("listening failed")

    def _check_configuration(self, configuration: Configuration) -> None:
        if configuration is not self._configuration():
            raise Stopped("Another configuration is there.")

    def _sleep(self, seconds: float) -> None:
        self._woken.wait(seconds)
        self._woken.clear()

    def _log(self, notice: Notice) -> None:
        log = logger()
        match notice.kind:
            case "listening":
                log.info("listening", since=notice.since.isoformat(timespec="seconds") if notice.since else None)
            case "heard" if notice.result is not None:
                delay = round(notice.delay or 0.0, 3)
                self._metrics.changes_heard(len(notice.items), delay)
                fetched, observed = notice.result.fetched, notice.result.observed
                log.info("heard of changes", items=notice.items, seconds=delay, fetched=fetched, observed=observed)
            case "polled" if notice.result is not None:
                log.info("polled for what was not heard", fetched=notice.result.fetched)
            case "waiting":
                log.debug("listener waits", items=notice.items, reason=notice.reason)
            case _:
                kept = "The scheduled pulls find every change."
                log.warning(f"listener {notice.kind}", items=notice.items, reason=notice.reason, kept=kept)
