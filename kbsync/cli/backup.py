"""``kbsync db backup`` and ``kbsync db restore``"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from kbsync.cli.command import DryRunOption, JsonOption, verb


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupView:
    """``file`` holds (or brought back) the ledger ``database``; ``bytes`` is its size, of a dry run of `db backup` that
    of the ledger."""

    database: str
    file: str
    bytes: int


@verb(
    "db backup",
    examples=["kbsync db backup /backup/ledger-monday", "kbsync db backup ledger.bak --json | jq .bytes"],
    exits=[66, 74],
    prints="kbsync.cli.backup:BackupView",
    changes="a file",
)
def backup(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the copy goes; a name that is not taken.")],
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Copy the ledger, consistently, while others read and write it.

    SQLite: a file that can be opened as it is. PostgreSQL: what `pg_dump --format=custom` writes. The stored versions
    and the configuration are files, to be copied after the ledger: see docs/how-to/disaster-recovery.md.
    """
    from kbsync.cli.context import configuration
    from kbsync.cli.output import emit, say
    from kbsync.ledger import backup as ledger_backup

    settings = configuration(context).settings
    make = ledger_backup.require_possible if dry_run else ledger_backup.backup
    size = make(settings.database_url.get_secret_value(), file)
    view = BackupView(database=settings.database, file=str(file.expanduser().absolute()), bytes=size)
    done = "would copy" if dry_run else "copied"
    return emit(view) if json else say(f"{done} {view.database} to {view.file}, {size:,} bytes")


@verb(
    "db restore",
    examples=["kbsync db restore /backup/ledger-monday"],
    exits=[66, 74],
    prints="kbsync.cli.backup:BackupView",
    changes="the ledger",
)
def restore(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `kbsync db backup` wrote.")],
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Bring the ledger back from a backup, to where the configuration says, if nothing is there.

    The backup is examined first. It never overwrites: move the old ledger away, or configure an empty database.
    """
    from kbsync.cli.context import configuration
    from kbsync.cli.output import emit, say
    from kbsync.ledger import backup as ledger_backup
    from kbsync.ledger import schema

    settings = configuration(context).settings
    url = settings.database_url.get_secret_value()
    if dry_run:
        ledger_backup.require_restorable(url, file)
    else:
        ledger_backup.restore(url, file)
        schema.upgrade(url)
    view = BackupView(database=settings.database, file=str(file.expanduser().absolute()), bytes=file.stat().st_size)
    if json:
        return emit(view)
    if dry_run:
        return say(f"would restore {view.database} from {view.file}, which is sound")
    say(f"restored {view.database} from {view.file}")
    return say("Now: `kbsync db check`, `kbsync verify`, and remove audit-anchor.json where it tells of later events.")
