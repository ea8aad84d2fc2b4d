"""``kbsync daemon``"""

from __future__ import annotations

import typer

from kbsync.cli.command import verb


@verb("daemon", examples=["kbsync daemon"], exits=[74])
def daemon(context: typer.Context) -> None:
    """Run `sync` at start and on the configured schedule, in the foreground, until SIGTERM or SIGINT.

    One cycle at a time. When another process is writing, the cycle is skipped; an error is logged, and the next tick
    tries again. A stop lets the running stage end where that is safe, for at most `schedule.stop_within`: what is
    finished is kept. SIGHUP reads the configuration again; a wrong one is refused and the old one stays. Under systemd
    the service reports when it is ready, what it is doing, and that it is alive (Type=notify, WatchdogSec).
    """
    from kbsync.cli.command import options
    from kbsync.cli.context import configuration

    found = configuration(context)

    from kbsync.config import load_all
    from kbsync.service.daemon import serve

    serve(found, reload=lambda: load_all(options(context).config))
