"""Keeps the application of an ended job for a while, so that the next job need not load the model again."""

from __future__ import annotations

import gc
import threading
from datetime import timedelta

from kbsync.bootstrap import App
from kbsync.bootstrap.adapters import SystemClock
from kbsync.config import Configuration
from kbsync.daemon.jobs import ACTOR
from kbsync.ports import Clock, Work
from kbsync.system.memory import release_memory


class ModelCache:
    """Holds at most one application that no job is using, with the model of that application's configuration."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._app: App | None = None
        self._until = 0.0

    def take(self, configuration: Configuration, work: Work) -> App:
        """Return the kept application, or a new one if none is kept or it has another configuration."""
        app = self._remove()
        if app is not None and app.configuration is configuration:
            app.work = work
            return app
        if app is not None:
            app.close()
        return App(configuration, actor=ACTOR, work=work, clock=self._clock)

    def keep(self, app: App, span: timedelta) -> None:
        """Keep an application for ``span`` from now on; a span of zero closes it at once."""
        if not span:
            app.close()
            return
        with self._lock:
            self._app, self._until = app, self._clock.monotonic() + span.total_seconds()

    def close_expired(self) -> bool:
        """Close the application, and free its model, if its time is over.

        Returns:
            Whether one was closed.
        """
        with self._lock:
            if self._app is None or self._clock.monotonic() < self._until:
                return False
        self.close()
        free_models()
        return True

    def close(self) -> None:
        """Close the kept application, if there is one."""
        app = self._remove()
        if app is not None:
            app.close()

    def _remove(self) -> App | None:
        with self._lock:
            app, self._app = self._app, None
        return app


def free_models() -> None:
    """Free the memory of models that nothing uses any more.

    A model and its hooks refer to each other, so only the garbage collector frees it; and the C library keeps the freed
    pages until it is asked to return them.
    """
    gc.collect()
    release_memory()
