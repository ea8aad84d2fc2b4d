"""``kbsync daemon``"""

from __future__ import annotations

import typer

from kbsync.cli.command import verb


@verb("daemon", examples=["kbsync daemon"], exits=[74])
def daemon(context: typer.Context) -> None:
    """Run `sync` at start and on the configured schedule, in the foreground, until SIGTERM or SIGINT.

    One cycle at a time. When another process is writing, the cycle is skipped; an error is logged, and the next tick
    tries again. A stop lets the running stage end where that is safe: what is finished is kept. Under systemd the
    service reports when it is ready and what it is doing (Type=notify).
    """
    from kbsync.cli.context import configuration

    found = configuration(context)

    from kbsync.service.daemon import serve

    serve(found)
