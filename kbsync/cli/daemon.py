"""``kbsync daemon``"""

from __future__ import annotations

from datetime import UTC, datetime

import typer

from kbsync.cli.command import DryRunOption, JsonOption, verb


@verb(
    "daemon",
    examples=["kbsync daemon"],
    exits=[74],
    prints="kbsync.daemon.schedule:ScheduleView",
    changes="all that its jobs change",
)
def daemon(context: typer.Context, dry_run: DryRunOption = False, json: JsonOption = False) -> None:
    """Run `sync` at start and on the configured schedule, in the foreground, until SIGTERM or SIGINT.

    One cycle at a time. When another process is writing, the cycle is skipped; an error is logged, and the next
    scheduled run tries again. A stop lets the running stage end where that is safe, for at most
    `schedule.stop_within`: what is finished is kept. SIGHUP reads the configuration again; a wrong one is refused and
    the old one stays. Under systemd the service reports when it is ready, what it is doing, and that it is alive
    (Type=notify, WatchdogSec).

    `--dry-run` shows the schedule and starts nothing; with `--json` alone the same document is printed before the
    start.
    """
    from kbsync.cli.command import options
    from kbsync.cli.context import configuration

    current = configuration(context)

    from kbsync.cli.output import emit, table
    from kbsync.config import load_all
    from kbsync.daemon.daemon import Daemon
    from kbsync.daemon.schedule import schedule_view
    from kbsync.web.daemon_page import daemon_page

    view = schedule_view(current, datetime.now(UTC))
    if json:
        emit(view)
    elif dry_run:
        table(("job", "stage", "when", "next (UTC)"), [(j.name, j.stage, j.when, j.upcoming[0]) for j in view.jobs])
    if dry_run:
        return
    Daemon(current, lambda: load_all(options(context).config), page=daemon_page).run()
