"""``kbsync db upgrade`` and ``kbsync db check``"""

from __future__ import annotations

from dataclasses import dataclass

import typer

from kbsync.cli.command import JsonOption, verb


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckView:
    """``problems``: one sentence each; empty for a sound ledger."""

    database: str
    problems: tuple[str, ...]


@verb("db upgrade", examples=["kbsync db upgrade"], exits=[74, 75])
def upgrade(context: typer.Context) -> None:
    """Create the ledger, or bring it to the schema of this kbsync, in one transaction.

    A ledger made by a newer kbsync is left alone.
    """
    from kbsync.cli.context import configuration
    from kbsync.cli.output import say

    settings = configuration(context).settings
    if make_ledger(settings.database_url.get_secret_value()):
        say(f"upgraded: {settings.database}")
    else:
        say(f"already up to date: {settings.database}")


def make_ledger(url: str) -> bool:
    """Create or upgrade the ledger; False when it is as it should be."""
    from kbsync.domain.errors import SchemaError
    from kbsync.ledger import schema
    from kbsync.ledger.ledger import SqlLedger

    try:
        SqlLedger(url).close()
    except SchemaError:
        schema.upgrade(url)
        return True
    return False


@verb("db check", examples=["kbsync db check"], exits=[74], prints="kbsync.cli.db:CheckView")
def check(context: typer.Context, json: JsonOption = False) -> None:
    """Examine the ledger: schema, damage, references, triggers, statement history, and the audit trail's chain."""
    from kbsync.cli.context import configuration
    from kbsync.cli.output import emit, say
    from kbsync.domain.errors import StoreError
    from kbsync.ledger import schema

    settings = configuration(context).settings
    problems = schema.check(settings.database_url.get_secret_value())
    if json:
        emit(CheckView(database=settings.database, problems=tuple(problems)))
    elif not problems:
        say(f"sound: {settings.database}")
    if problems:
        raise StoreError(
            "\n".join([f"The ledger {settings.database} has problems:", *(f"  - {p}" for p in problems)]),
            next_step="A schema is brought up to date by `kbsync db upgrade`; anything else asks for a backup.",
        )
