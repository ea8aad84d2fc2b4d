"""The application between two jobs: kept with its loaded model for a while, then let go."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable
from datetime import timedelta

from kbsync.bootstrap import App
from kbsync.config import Configuration
from kbsync.ports import Work


class Idle:
    """At most one application, of the configuration that it was made with. ``make`` builds a new one."""

    def __init__(self, make: Callable[[Configuration, Work], App]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._kept: App | None = None
        self._until = 0.0

    def take(self, configuration: Configuration, work: Work) -> App:
        """The kept application, or a new one where none is kept or the configuration is another."""
        with self._lock:
            app, self._kept = self._kept, None
        if app is None:
            return self._make(configuration, work)
        if app.configuration is not configuration:
            app.close()
            return self._make(configuration, work)
        app.work = work
        return app

    def give(self, app: App, span: timedelta) -> None:
        """Keep ``app`` for ``span``; at zero it goes at once."""
        if not span:
            app.close()
            return
        with self._lock:
            self._kept, self._until = app, time.monotonic() + span.total_seconds()

    def look(self) -> bool:
        """Let go what has idled for long enough; whether something was."""
        with self._lock:
            if self._kept is None or time.monotonic() < self._until:
                return False
            app, self._kept = self._kept, None
        app.close()
        del app
        sweep()
        return True

    def drop(self) -> None:
        """Let go at once."""
        with self._lock:
            app, self._kept = self._kept, None
        if app is not None:
            app.close()


def sweep() -> None:
    """Modules and their hooks refer to each other, so only the collector frees a model; and malloc keeps what was
    freed until it is asked to give it back."""
    gc.collect()
    _trim()


def _trim() -> None:
    import ctypes

    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError):  # not glibc
        return
