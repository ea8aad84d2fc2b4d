"""The status page of a running daemon."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kbsync.daemon.daemon import Daemon
from kbsync.daemon.jobs import PULL, WORK
from kbsync.web.backend import Backend
from kbsync.web.server import serving


@contextmanager
def daemon_page(daemon: Daemon) -> Iterator[str]:
    """Serve the page of ``daemon`` inside the block, whose value is the address.

    Raises:
        ConfigError: the extra ``web`` is not installed.
        StoreError: the address is taken.
    """
    backend = Backend(
        configuration=lambda: daemon.configuration,
        ledger=daemon.app.ledger,
        clock=daemon.app.clock,
        metrics=daemon.metrics,
        activity=daemon.activities[WORK],
        pulls=daemon.activities[PULL],
        schedule=daemon.timetable.file,
        sync_now=daemon.sync_now,
        trouble=daemon.trouble,
    )
    with serving(backend, daemon.configuration.settings.web) as address:
        yield address
