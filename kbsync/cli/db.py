"""``kbsync db upgrade`` and ``kbsync db check``"""

from __future__ import annotations

from dataclasses import dataclass

import typer

from kbsync.cli.command import DryRunOption, JsonOption, verb


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckView:
    """``problems``: one sentence each; empty for a sound ledger."""

    database: str
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UpgradeView:
    """``before`` is the schema that was found (null: no ledger), ``after`` that of this kbsync."""

    database: str
    before: str | None
    after: str
    already: bool


@verb(
    "db upgrade",
    examples=["kbsync db upgrade"],
    exits=[74, 75],
    prints="kbsync.cli.db:UpgradeView",
    changes="the ledger",
)
def upgrade(context: typer.Context, dry_run: DryRunOption = False, json: JsonOption = False) -> None:
    """Create the ledger, or bring it to the schema of this kbsync, in one transaction.

    A ledger made by a newer kbsync is left alone.
    """
    from kbsync.cli.context import configuration
    from kbsync.cli.output import emit, say
    from kbsync.ledger import schema

    settings = configuration(context).settings
    url = settings.database_url.get_secret_value()
    before = schema.revision_at(url)
    already = before == schema.REVISION
    if not dry_run and not already:
        schema.upgrade(url)
    if json:
        return emit(UpgradeView(database=settings.database, before=before, after=schema.REVISION, already=already))
    if already:
        return say(f"already up to date: {settings.database}")
    done = "would be upgraded" if dry_run else "upgraded"
    return say(f"{done}: {settings.database}, from {before or 'nothing'} to {schema.REVISION}")


@verb("db check", examples=["kbsync db check"], exits=[74], prints="kbsync.cli.db:CheckView", changes="")
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
