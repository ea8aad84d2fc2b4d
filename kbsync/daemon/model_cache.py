"""The application that a job leaves behind: kept for a while, so that the next job finds the model loaded."""

from __future__ import annotations

import gc
import threading
import time
from datetime import timedelta

from kbsync.bootstrap import App
from kbsync.config import Configuration
from kbsync.daemon.jobs import ACTOR
from kbsync.ports import Clock, Work
from kbsync.system.memory import release_memory


class ModelCache:
    """Holds at most one application that no job is using. Its model is the one of the application's configuration."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._app: App | None = None
        self._until = 0.0

    def take(self, configuration: Configuration, work: Work) -> App:
        """The kept application, or a new one where none is kept or the configuration is another."""
        app = self._remove()
        if app is not None and app.configuration is configuration:
            app.work = work
            return app
        if app is not None:
            app.close()
        return App(configuration, actor=ACTOR, work=work, clock=self._clock)

    def keep(self, app: App, span: timedelta) -> None:
        """Keep an application for a time that begins now; with a span of zero it is closed at once."""
        if not span:
            app.close()
            return
        with self._lock:
            self._app, self._until = app, time.monotonic() + span.total_seconds()

    def close_expired(self) -> bool:
        """Close the application if its time is over, and free its model.

        Returns:
            Whether one was closed.
        """
        with self._lock:
            if self._app is None or time.monotonic() < self._until:
                return False
        self.close()
        free_models()
        return True

    def close(self) -> None:
        """Close the application, however long it was to be kept."""
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
